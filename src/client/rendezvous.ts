import { BroadcastLink } from '../core/broadcast-link.ts';
import { onAbort } from './abort.ts';
import { toTabserveError } from '../core/errors.ts';
import type { Link } from '../core/link.ts';
import { watchLock } from '../core/locks.ts';
import type { Locks } from '../core/locks.ts';
import { KeyExchange } from '../core/link-keys.ts';
import type { LinkEnd } from '../core/link-keys.ts';
import { readBroadcast } from '../core/rendezvous.ts';
import type { Broadcast, FromBroker, ListenMessage, ToBroker, WelcomeMessage } from '../core/rendezvous.ts';
import { watchScript } from './shared-worker-transport.ts';

/** A link to a worker that is known by its lock. */
export interface Peer {
  readonly link: Link;
  readonly hostLock: string;
}

/** Where tabs and the elected engine's worker find each other. */
export interface Rendezvous {
  /** Resolves to a name for where this is, the same for all who can meet. @param signal aborted, with the reason, to give up */
  scope(signal: AbortSignal): Promise<string>;
  /** Resolves when there is a worker, and a link to it. @param signal aborted, with the reason, to give up */
  connect(signal: AbortSignal): Promise<Peer>;
  /** Lets tabs meet this worker, which holds this lock, until the signal is aborted. @param fail called where they cannot */
  announce(worker: Worker, hostLock: string, until: AbortSignal, fail: (error: unknown) => void): void;
}

/** Through a SharedWorker that hands on the ends of MessageChannels. */
export class BrokerRendezvous implements Rendezvous {
  readonly #startBroker: () => SharedWorker;
  readonly #locks: Locks;
  readonly #workerUrl: URL | undefined;

  /** @param workerUrl the script's, where it is known */
  constructor(startBroker: () => SharedWorker, locks: Locks, workerUrl?: URL) {
    this.#startBroker = startBroker;
    this.#locks = locks;
    this.#workerUrl = workerUrl;
  }

  scope(signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const settled = new AbortController();
      const fail = (error: unknown): void => {
        settled.abort();
        reject(toTabserveError(error));
      };
      onAbort(signal, settled.signal, () => fail(signal.reason));
      const note = (_broker: MessagePort, scope: string): void => {
        settled.abort();
        resolve(`broker:${scope}`);
      };
      this.#talk(note, settled.signal, fail);
    });
  }

  connect(signal: AbortSignal): Promise<Peer> {
    return new Promise((resolve, reject) => {
      const settled = new AbortController();
      const fail = (error: unknown): void => {
        settled.abort();
        reject(toTabserveError(error));
      };
      const connect = (broker: MessagePort): void => {
        const id = crypto.randomUUID();
        const { port1, port2 } = new MessageChannel();
        port1.start();
        const listen = ({ data }: MessageEvent<FromBroker>): void => {
          if (data.type !== 'forwarded' || data.id !== id) return;
          settled.abort();
          resolve({ link: port1, hostLock: data.lockName });
        };
        broker.addEventListener('message', listen, { signal: settled.signal });
        broker.postMessage({ type: 'connect', id } satisfies ToBroker, [port2]);
      };
      onAbort(signal, settled.signal, () => fail(signal.reason));
      this.#talk(connect, settled.signal, fail);
    });
  }

  announce(worker: Worker, hostLock: string, until: AbortSignal, fail: (error: unknown) => void): void {
    const announce = (broker: MessagePort): void => {
      const { port1, port2 } = new MessageChannel();
      worker.postMessage({ type: 'broker' } satisfies ListenMessage, [port1]);
      broker.postMessage({ type: 'announce', lockName: hostLock } satisfies ToBroker, [port2]);
    };
    this.#talk(announce, until, fail);
  }

  /** Has something said to the broker, and to the next one whenever one dies, until the signal is aborted. */
  #talk(say: (broker: MessagePort, scope: string) => void, until: AbortSignal, fail: (error: unknown) => void): void {
    if (until.aborted) return;
    try {
      const broker = this.#startBroker();
      const { port } = broker;
      const script = watchScript(broker, this.#workerUrl);
      script.addEventListener('abort', () => fail(script.reason), { once: true, signal: until });
      const listen = ({ data }: MessageEvent<FromBroker>): void => {
        if (data.type !== 'hello') return;
        try {
          say(port, data.scope);
        } catch (error) {
          fail(error);
        }
        watchLock(this.#locks, data.lockName, until, () => this.#talk(say, until, fail));
      };
      port.addEventListener('message', listen, { signal: until });
      until.addEventListener('abort', () => port.close(), { once: true });
      port.start();
    } catch (error) {
      fail(error);
    }
  }
}

/** Over a BroadcastChannel, where there is no SharedWorker. Links are encrypted: see {@link BroadcastLink}. */
export class BroadcastRendezvous implements Rendezvous {
  readonly #channelName: string;

  constructor(channelName: string) {
    this.#channelName = channelName;
  }

  async scope(): Promise<string> {
    return `channel:${this.#channelName}`;
  }

  async connect(signal: AbortSignal): Promise<Peer> {
    const channel = new BroadcastChannel(this.#channelName);
    try {
      return await connectOn(channel, await KeyExchange.begin(), signal);
    } catch (error) {
      channel.close();
      throw toTabserveError(error);
    }
  }

  announce(worker: Worker): void {
    worker.postMessage({ type: 'broadcast', channel: this.#channelName } satisfies ListenMessage);
  }
}

/** Of those that answer, the first with the same keys is connected to. */
function connectOn(channel: BroadcastChannel, exchange: KeyExchange, signal: AbortSignal): Promise<Peer> {
  const tab: LinkEnd = { address: crypto.randomUUID(), publicKey: exchange.publicKey };
  return new Promise((resolve, reject) => {
    const settled = new AbortController();
    const connect = (): void => {
      channel.postMessage({ type: 'connect', from: tab.address, publicKey: tab.publicKey } satisfies Broadcast);
    };
    const answered = (worker: LinkEnd): void => {
      const connected = new AbortController();
      const keys = exchange.agree('tab', { tab, worker });
      const onClosed = (): void => (connected.signal.aborted ? channel.close() : undefined);
      const link = new BroadcastLink({ channel, local: tab.address, remote: worker.address, keys, onClosed });
      onAbort(settled.signal, connected.signal, () => link.close());
      const listen = ({ data }: Event & { data?: unknown }): void => {
        connected.abort();
        settled.abort();
        resolve({ link, hostLock: (data as WelcomeMessage).hostLock });
      };
      link.addEventListener('message', listen, { once: true });
    };
    const listen = ({ data }: MessageEvent<unknown>): void => {
      const message = readBroadcast(data);
      if (message?.type === 'announce') connect(); // nobody heard it before
      if (message?.type !== 'accepted' || message.to !== tab.address) return;
      answered({ address: message.from, publicKey: message.publicKey });
    };
    channel.addEventListener('message', listen, { signal: settled.signal });
    onAbort(signal, settled.signal, () => {
      settled.abort();
      reject(toTabserveError(signal.reason));
    });
    connect();
  });
}
