import { holdLock, watchLock } from '../core/locks.ts';
import type { Locks } from '../core/locks.ts';
import type { FromBroker, ToBroker } from '../core/rendezvous.ts';
import { shortHash } from '../storage/short-hash.ts';

interface Owner {
  readonly port: MessagePort;
  readonly lockName: string;
}

interface Knock {
  readonly tab: MessagePort;
  readonly id: string;
  readonly link: MessagePort;
}

/**
 * Has no GPU and no model, and only hands the ends of links on to the worker that was elected; those that come while there
 * is none wait for it.
 */
export class Broker {
  readonly #lockName = `tabserve:broker:${crypto.randomUUID()}`;
  readonly #locks: Locks;
  readonly #place: string;
  readonly #locked: Promise<unknown>;
  readonly #waiting: Knock[] = [];
  #owner: Owner | undefined;

  /** @param place what tells this broker, and those before and after it, from others of the origin */
  constructor(locks: Locks, place: string) {
    this.#locks = locks;
    this.#place = place;
    this.#locked = holdLock(locks, this.#lockName);
  }

  /** A tab has come. */
  connect(tab: MessagePort): void {
    tab.onmessage = ({ data, ports: [port] }: MessageEvent<ToBroker>) => {
      if (port === undefined) return;
      if (data.type === 'offer') this.#install({ port, lockName: data.lockName });
      else if (this.#owner === undefined) this.#waiting.push({ tab, id: data.id, link: port });
      else forward({ tab, id: data.id, link: port }, this.#owner);
    };
    void this.#locked.then(() => {
      tab.postMessage({ type: 'hello', lockName: this.#lockName, place: this.#place } satisfies FromBroker);
    });
  }

  #install(elected: Owner): void {
    this.#owner = elected;
    watchLock(this.#locks, elected.lockName, new AbortController().signal, () => {
      if (this.#owner === elected) this.#owner = undefined;
    });
    for (const knock of this.#waiting.splice(0)) forward(knock, elected);
  }
}

function forward({ tab, id, link }: Knock, elected: Owner): void {
  elected.port.postMessage(undefined, [link]);
  tab.postMessage({ type: 'forwarded', id, lockName: elected.lockName } satisfies FromBroker);
}

/** Makes this SharedWorker a broker. Its URL and its name are what the browser itself tells it from others by. */
export function serveBroker(): void {
  const broker = new Broker(navigator.locks, shortHash(`${location.href} ${self.name}`));
  addEventListener('connect', (event) => {
    const tab = (event as MessageEvent).ports[0];
    if (tab !== undefined) broker.connect(tab);
  });
}
