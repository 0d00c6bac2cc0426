import type { Link } from './link.ts';
import { decrypt, encrypt } from './link-keys.ts';
import type { LinkKeys } from './link-keys.ts';
import { decodePlain, encodePlain } from './plain-codec.ts';
import { readBroadcast } from './rendezvous.ts';
import type { Broadcast } from './rendezvous.ts';

/** The part of a BroadcastChannel that a link uses. */
export type Channel = Pick<BroadcastChannel, 'postMessage' | 'addEventListener' | 'removeEventListener'>;

export interface BroadcastLinkOptions {
  readonly channel: Channel;
  /** The address of this end. */
  readonly local: string;
  /** The address of the other end. */
  readonly remote: string;
  /** Messages wait, in both directions, until the keys are known. */
  readonly keys: Promise<LinkKeys>;
  /** Called when the link is closed and all that was posted before that has been sent. @default nothing */
  readonly onClosed?: () => void;
}

/** The encrypted content: a message, or a notice of the other end that it has missed one. */
type Content = { readonly data: unknown } | { readonly isLost: true };

/**
 * One end of a link over a BroadcastChannel. Every script of the origin can listen to that, and post to it, so each message
 * is encrypted and authenticated (AES-GCM), with its number and the link's two addresses. Messages arrive in order, each
 * once; what is forged, stray, changed or repeated is ignored. Where a message is missed, the link ends with a
 * `messageerror` event at both ends.
 *
 * In clear are the addresses, how many messages there are, how long and when. The content of a `File` can be read by who
 * listens: it is passed on by reference, as a `Blob` beside the cipher text.
 *
 * It is no defence against a script of the origin that takes part: one that answers in the worker's place when keys are
 * agreed on reads and writes all. Such a script could as well call the page's own functions.
 */
export class BroadcastLink extends EventTarget implements Link {
  readonly #channel: Channel;
  readonly #local: string;
  readonly #remote: string;
  readonly #keys: Promise<LinkKeys>;
  readonly #onClosed: () => void;
  #isClosed = false;
  #numSent = 0;
  #numReceived = 0;
  /** One after the other: WebCrypto promises nothing about which of two is done first. */
  #sent: Promise<unknown>;
  #received: Promise<unknown>;

  constructor({ channel, local, remote, keys, onClosed = () => {} }: BroadcastLinkOptions) {
    super();
    this.#channel = channel;
    this.#local = local;
    this.#remote = remote;
    this.#keys = keys;
    this.#onClosed = onClosed;
    this.#sent = keys;
    this.#received = keys;
    keys.catch(() => this.#fail());
    channel.addEventListener('message', this.#receive);
  }

  /** @throws DOMException `DataCloneError` for what is not plain data */
  postMessage(data: unknown): void {
    if (!this.#isClosed) this.#send({ data });
  }

  /** Messages posted before are still sent; none are received. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#channel.removeEventListener('message', this.#receive);
    this.#sent.then(this.#onClosed, this.#onClosed);
  }

  #send(content: Content): void {
    const { text, blobs } = encodePlain(content);
    const number = this.#numSent++;
    const additionalData = `${this.#local} ${this.#remote}`;
    const sent = this.#sent.then(async () => {
      const ciphertext = await encrypt((await this.#keys).send, number, additionalData, text);
      this.#channel.postMessage({ type: 'data', to: this.#remote, number, ciphertext, blobs } satisfies Broadcast);
    });
    this.#sent = sent;
    sent.catch(() => this.#fail()); // the other end would wait for it for ever
  }

  readonly #receive = ({ data }: MessageEvent<unknown>): void => {
    const message = readBroadcast(data);
    if (message?.type !== 'data' || message.to !== this.#local) return;
    this.#received = this.#received.then(() => this.#open(message), () => {});
  };

  async #open({ number, ciphertext, blobs }: Extract<Broadcast, { type: 'data' }>): Promise<void> {
    if (number < this.#numReceived) return; // repeated
    const { receive } = await this.#keys;
    const content = await decrypt(receive, number, `${this.#remote} ${this.#local}`, ciphertext).then(
      (text) => decodePlain({ text, blobs }) as Content,
    ).catch(() => undefined);
    if (this.#isClosed || content === undefined) return;
    if ('isLost' in content) return this.#fail();
    if (number > this.#numReceived) {
      this.#send({ isLost: true });
      return this.#fail();
    }
    this.#numReceived++;
    this.dispatchEvent(new MessageEvent('message', { data: content.data }));
  }

  /** Messages do not arrive any more. */
  #fail(): void {
    if (this.#isClosed) return;
    this.close();
    this.dispatchEvent(new MessageEvent('messageerror'));
  }
}
