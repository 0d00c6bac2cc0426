import { BroadcastLink } from '../core/broadcast-link.ts';
import { onAbort } from './abort.ts';
import type { Link } from '../core/link.ts';
import { CHANNEL_NAME } from '../core/rendezvous.ts';
import type { Broadcast, ForwardedMessage, ListenMessage, ToBroker } from '../core/rendezvous.ts';

/** A link to a worker that is known by its lock. */
export interface Met {
  readonly link: Link;
  readonly hostLock: string;
}

/** Where tabs and the elected engine's worker find each other. */
export interface Rendezvous {
  /** Resolves when there is a worker, and a link to it. @param signal aborted, with the reason, to give up */
  meet(signal: AbortSignal): Promise<Met>;
  /** Lets tabs meet this worker from now on. */
  offer(worker: Worker, hostLock: string): void;
  close(): void;
}

/** Through a SharedWorker that hands on the ends of MessageChannels. */
export class BrokerRendezvous implements Rendezvous {
  readonly #broker: MessagePort;

  constructor(broker: SharedWorker) {
    this.#broker = broker.port;
    this.#broker.start();
  }

  meet(signal: AbortSignal): Promise<Met> {
    const id = crypto.randomUUID();
    const { port1, port2 } = new MessageChannel();
    port1.start();
    return new Promise((resolve, reject) => {
      const settled = new AbortController();
      const listen = ({ data }: MessageEvent<ForwardedMessage>): void => {
        if (data.id !== id) return;
        settled.abort();
        resolve({ link: port1, hostLock: data.lockName });
      };
      this.#broker.addEventListener('message', listen, { signal: settled.signal });
      onAbort(signal, settled.signal, () => {
        settled.abort();
        reject(signal.reason as Error);
      });
      const message: ToBroker = { type: 'connect', id };
      this.#broker.postMessage(message, [port2]);
    });
  }

  offer(worker: Worker, hostLock: string): void {
    const { port1, port2 } = new MessageChannel();
    const listen: ListenMessage = { type: 'broker' };
    worker.postMessage(listen, [port1]);
    const message: ToBroker = { type: 'offer', lockName: hostLock };
    this.#broker.postMessage(message, [port2]);
  }

  close(): void {
    this.#broker.close();
  }
}

/** Over a BroadcastChannel, where there is no SharedWorker. */
export class BroadcastRendezvous implements Rendezvous {
  readonly #channel = new BroadcastChannel(CHANNEL_NAME);

  meet(signal: AbortSignal): Promise<Met> {
    const address = crypto.randomUUID();
    const knock: Broadcast = { type: 'connect', from: address };
    return new Promise((resolve, reject) => {
      const settled = new AbortController();
      const listen = ({ data }: MessageEvent<Broadcast>): void => {
        if (data.type === 'offer') this.#channel.postMessage(knock); // nobody heard the knock before
        if (data.type !== 'accepted' || data.to !== address) return;
        settled.abort();
        resolve({ link: new BroadcastLink(this.#channel, address, data.from), hostLock: data.lockName });
      };
      this.#channel.addEventListener('message', listen, { signal: settled.signal });
      onAbort(signal, settled.signal, () => {
        settled.abort();
        reject(signal.reason as Error);
      });
      this.#channel.postMessage(knock);
    });
  }

  offer(worker: Worker): void {
    const listen: ListenMessage = { type: 'broadcast' };
    worker.postMessage(listen);
  }

  close(): void {
    this.#channel.close();
  }
}
