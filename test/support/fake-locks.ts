import type { Locks } from '../../src/core/locks.ts';

type Callback = (lock: null) => unknown;

interface Waiting {
  readonly client: LockClient | undefined;
  readonly mode: 'exclusive' | 'shared';
  readonly grant: () => void;
  /** Lets go of it, whatever its callback does. */
  end: () => void;
}

/** A tab or a worker, as far as its locks go. */
export interface LockClient {
  readonly locks: Locks;
  /** It is no more: what it held is free, and what it asked for is asked by nobody. */
  end(): void;
}

/** Web Locks for Node, which has none before version 24: exclusive and shared, first come first served. */
export class FakeLocks {
  readonly #turn: ((name: string) => Promise<void>) | undefined;
  readonly #ended = new WeakSet<LockClient>();
  readonly #held = new Map<string, Set<Waiting>>();
  readonly #waiting = new Map<string, Waiting[]>();

  /** @param turn what a lock waits for before it is granted. @default nothing */
  constructor(turn?: (name: string) => Promise<void>) {
    this.#turn = turn;
  }

  /** The interface that the product sees. */
  get locks(): Locks {
    return this.#locksOf(undefined);
  }

  /** One of several tabs and workers. */
  client(): LockClient {
    const client: LockClient = {
      get locks() {
        return locks;
      },
      end: () => {
        this.#ended.add(client);
        for (const queue of this.#waiting.values()) {
          queue.splice(0, Infinity, ...queue.filter((entry) => entry.client !== client));
        }
        for (const entry of [...this.#held.values()].flatMap((held) => [...held])) if (entry.client === client) entry.end();
      },
    };
    const locks = this.#locksOf(client);
    return client;
  }

  /** The holders of a lock. */
  holders(name: string): readonly (LockClient | undefined)[] {
    return Array.from(this.#held.get(name) ?? [], ({ client }) => client);
  }

  isHeld(name: string): boolean {
    return (this.#held.get(name)?.size ?? 0) > 0;
  }

  /** The names of those that are held. */
  get held(): readonly string[] {
    return [...this.#held].flatMap(([name, { size }]) => (size > 0 ? [name] : []));
  }

  /** The names of those that are asked for. */
  get wanted(): readonly string[] {
    return [...this.#waiting].flatMap(([name, { length }]) => (length > 0 ? [name] : []));
  }

  /** As when the holder's tab crashes. */
  breakLock(name: string): void {
    for (const entry of this.#held.get(name) ?? []) entry.end();
  }

  #locksOf(client: LockClient | undefined): Locks {
    const request = this.#request.bind(this, client) as Locks['request'];
    return { request, query: this.#query.bind(this) };
  }

  async #query(): Promise<LockManagerSnapshot> {
    const pending = [...this.#waiting].flatMap(([name, queue]) => queue.map(({ mode }) => ({ name, mode })));
    return { held: [], pending };
  }

  #request(client: LockClient | undefined, name: string, ...rest: [Callback] | [LockOptions, Callback]): Promise<unknown> {
    const [options, callback] = rest.length === 1 ? [{} as LockOptions, rest[0]] : rest;
    return new Promise((resolve, reject) => {
      if (client !== undefined && this.#ended.has(client)) return; // what its timers may still do here, they do in no browser
      const entry: Waiting = {
        client,
        mode: options.mode ?? 'exclusive',
        grant: () => {
          options.signal?.removeEventListener('abort', giveUp);
          const broken = new Promise<void>((release) => (entry.end = release));
          const done = (async () => callback(null))();
          done.then(resolve, reject);
          void Promise.race([done.catch(() => {}), broken]).then(() => {
            this.#held.get(name)?.delete(entry);
            this.#soon(name);
          });
        },
        end: () => {},
      };
      const giveUp = (): void => {
        const index = queue.indexOf(entry);
        if (index < 0) return;
        queue.splice(index, 1);
        reject(options.signal?.reason);
      };
      if (options.signal?.aborted === true) return reject(options.signal.reason);
      const queue = this.#waiting.get(name) ?? [];
      this.#waiting.set(name, queue);
      queue.push(entry);
      options.signal?.addEventListener('abort', giveUp, { once: true });
      this.#soon(name);
    });
  }

  #soon(name: string): void {
    if (this.#turn === undefined) this.#next(name);
    else void this.#turn(name).then(() => this.#next(name));
  }

  #next(name: string): void {
    const held = this.#held.get(name) ?? new Set();
    this.#held.set(name, held);
    const queue = this.#waiting.get(name) ?? [];
    for (let next = queue[0]; next !== undefined; next = queue[0]) {
      const exclusive = [next, ...held].some(({ mode }) => mode === 'exclusive');
      if (exclusive && held.size > 0) return;
      queue.shift();
      held.add(next);
      next.grant();
    }
  }
}
