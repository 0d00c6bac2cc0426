import type { Link } from './link.ts';
import type { Broadcast } from './rendezvous.ts';

/** What is used of a BroadcastChannel. */
export type Channel = Pick<BroadcastChannel, 'postMessage' | 'addEventListener' | 'removeEventListener'>;

/** One end of a link over a BroadcastChannel, which everybody hears: each end has an address. Nothing can be transferred. */
export class BroadcastLink extends EventTarget implements Link {
  readonly #channel: Channel;
  readonly #local: string;
  readonly #remote: string;

  constructor(channel: Channel, local: string, remote: string) {
    super();
    this.#channel = channel;
    this.#local = local;
    this.#remote = remote;
    channel.addEventListener('message', this.#receive);
  }

  postMessage(data: unknown): void {
    const message: Broadcast = { type: 'data', to: this.#remote, data };
    this.#channel.postMessage(message);
  }

  close(): void {
    this.#channel.removeEventListener('message', this.#receive);
  }

  readonly #receive = (event: MessageEvent<Broadcast>): void => {
    const message = event.data;
    if (message.type !== 'data' || message.to !== this.#local) return;
    this.dispatchEvent(new MessageEvent('message', { data: message.data }));
  };
}
