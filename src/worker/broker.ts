import { holdLock, watchLock } from '../core/locks.ts';
import type { Locks } from '../core/locks.ts';
import type { FromBroker, ToBroker } from '../core/rendezvous.ts';
import { shortHash } from '../storage/short-hash.ts';

interface Owner {
  readonly port: MessagePort;
  readonly lockName: string;
}

interface PendingLink {
  readonly tab: MessagePort;
  readonly id: string;
  readonly link: MessagePort;
}

/**
 * Passes the ends of links on to the elected worker. Links that come while there is none wait for it. A broker has no GPU
 * and no model.
 */
export class Broker {
  readonly #lockName = `tabserve:broker:${crypto.randomUUID()}`;
  readonly #locks: Locks;
  readonly #scope: string;
  readonly #locked: Promise<unknown>;
  readonly #waiting: PendingLink[] = [];
  #owner: Owner | undefined;

  /** @param scope the same for this broker and those before and after it, and different from others of the origin */
  constructor(locks: Locks, scope: string) {
    this.#locks = locks;
    this.#scope = scope;
    this.#locked = holdLock(locks, this.#lockName);
  }

  /** A tab has connected. */
  connect(tab: MessagePort): void {
    tab.onmessage = ({ data, ports: [port] }: MessageEvent<ToBroker>) => {
      if (port === undefined) return;
      if (data.type === 'announce') this.#install({ port, lockName: data.lockName });
      else if (this.#owner === undefined) this.#waiting.push({ tab, id: data.id, link: port });
      else forward({ tab, id: data.id, link: port }, this.#owner);
    };
    void this.#locked.then(() => {
      tab.postMessage({ type: 'hello', lockName: this.#lockName, scope: this.#scope } satisfies FromBroker);
    });
  }

  #install(elected: Owner): void {
    this.#owner = elected;
    watchLock(this.#locks, elected.lockName, new AbortController().signal, () => {
      if (this.#owner === elected) this.#owner = undefined;
    });
    for (const pending of this.#waiting.splice(0)) forward(pending, elected);
  }
}

function forward({ tab, id, link }: PendingLink, elected: Owner): void {
  elected.port.postMessage(undefined, [link]);
  tab.postMessage({ type: 'forwarded', id, lockName: elected.lockName } satisfies FromBroker);
}

/** Makes this SharedWorker a broker. The browser distinguishes SharedWorkers by URL and name, and so does its scope. */
export function serveBroker(): void {
  const broker = new Broker(navigator.locks, shortHash(`${location.href} ${self.name}`));
  addEventListener('connect', (event) => {
    const tab = (event as MessageEvent).ports[0];
    if (tab !== undefined) broker.connect(tab);
  });
}
