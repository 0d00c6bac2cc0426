import type { Locks } from '../../src/core/locks.ts';

type Callback = (lock: null) => unknown;

interface Waiting {
  readonly mode: 'exclusive' | 'shared';
  readonly grant: () => void;
}

/** Web Locks for Node, which has none before version 24: exclusive and shared, first come first served. */
export class FakeLocks {
  readonly #held = new Map<string, Set<Waiting>>();
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #breakers = new Map<string, Set<() => void>>();

  /** The interface that the product sees. */
  get locks(): Locks {
    return { request: this.#request.bind(this) as Locks['request'], query: this.#query.bind(this) };
  }

  isHeld(name: string): boolean {
    return (this.#held.get(name)?.size ?? 0) > 0;
  }

  /** The names of those that are held. */
  get held(): readonly string[] {
    return [...this.#held].flatMap(([name, { size }]) => (size > 0 ? [name] : []));
  }

  /** As when the holder's tab crashes. */
  breakLock(name: string): void {
    for (const release of this.#breakers.get(name) ?? []) release();
  }

  async #query(): Promise<LockManagerSnapshot> {
    const pending = [...this.#waiting].flatMap(([name, queue]) => queue.map(({ mode }) => ({ name, mode })));
    return { held: [], pending };
  }

  #request(name: string, ...rest: [Callback] | [LockOptions, Callback]): Promise<unknown> {
    const [options, callback] = rest.length === 1 ? [{} as LockOptions, rest[0]] : rest;
    return new Promise((resolve, reject) => {
      const entry: Waiting = {
        mode: options.mode ?? 'exclusive',
        grant: () => {
          const broken = new Promise<void>((release) => {
            const breakers = this.#breakers.get(name) ?? new Set();
            this.#breakers.set(name, breakers.add(release));
          });
          const done = (async () => callback(null))();
          done.then(resolve, reject);
          void Promise.race([done.catch(() => {}), broken]).then(() => {
            this.#held.get(name)?.delete(entry);
            this.#next(name);
          });
        },
      };
      const queue = this.#waiting.get(name) ?? [];
      this.#waiting.set(name, queue);
      queue.push(entry);
      options.signal?.addEventListener('abort', () => {
        const index = queue.indexOf(entry);
        if (index < 0) return;
        queue.splice(index, 1);
        reject(options.signal?.reason);
      });
      this.#next(name);
    });
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
