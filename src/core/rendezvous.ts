/**
 * How a tab and the engine's worker find each other where that worker is another tab's own (a dedicated Worker, elected
 * by a Web Lock): through a SharedWorker without a GPU, the broker, or where there is none over a BroadcastChannel.
 */

/**
 * Held by the tab whose worker is the engine's.
 *
 * @param scope where tabs meet that worker. Tabs that meet elsewhere, as those of another release do, elect their own:
 *   they would otherwise wait for an owner that they cannot reach. Of all these workers one has the GPU at a time.
 */
export function ownerLockName(scope: string): string {
  return `tabserve:owner:${scope}`;
}

/** The BroadcastChannel's name begins so; what follows is the release's. */
export const CHANNEL_NAME = 'tabserve';

/** A SharedWorker whose name begins so is a broker; what follows is the release's. */
export const BROKER_NAME = 'tabserve-broker';

/** From an elected worker to its tab: it is up, and holds this lock for as long as it lives. */
export interface StartedMessage {
  readonly type: 'started';
  readonly lockName: string;
}

/** From the owner's tab to its worker: where tabs will connect. With a port to the broker for `broker`. */
export type ListenMessage = { readonly type: 'broker' } | { readonly type: 'broadcast'; readonly channel: string };

/** From a tab to the broker. With a port: `announce`, by which the worker takes in links; `connect`, the worker's end of one. */
export type ToBroker =
  | { readonly type: 'announce'; readonly lockName: string }
  | { readonly type: 'connect'; readonly id: string };

/** From the broker to a tab. */
export type FromBroker =
  | {
      /** It is up, and holds this lock for as long as it lives: it dies with the renderer of the tab that started it. */
      readonly type: 'hello';
      readonly lockName: string;
      /** The same for each broker of this script and name: what {@link ownerLockName} takes. */
      readonly scope: string;
    }
  | {
      /** The end of a link is on its way to the worker that holds this lock. */
      readonly type: 'forwarded';
      readonly id: string;
      readonly lockName: string;
    };

/**
 * Over the BroadcastChannel, to which every script of the origin may listen and post. Addresses are random names, one for
 * each end of a link. The first of an accepted link's messages is a {@link WelcomeMessage}.
 */
export type Broadcast =
  | { readonly type: 'announce' } // a worker is up: connect
  | { readonly type: 'connect'; readonly from: string; readonly publicKey: string }
  | { readonly type: 'accepted'; readonly to: string; readonly from: string; readonly publicKey: string }
  | {
      readonly type: 'data';
      readonly to: string;
      /** 0 for the first message of this direction. */
      readonly number: number;
      /** The message, encrypted. */
      readonly ciphertext: ArrayBuffer;
      /** The contents of files in it. */
      readonly blobs: readonly Blob[];
    };

/** From the worker, encrypted: that it can be read shows that both ends have the same keys. */
export interface WelcomeMessage {
  /** Held by the worker for as long as it lives. */
  readonly hostLock: string;
}

/** A message of the channel, if it has the right form. */
export function readBroadcast(heard: unknown): Broadcast | undefined {
  if (typeof heard !== 'object' || heard === null) return undefined;
  const message = heard as { readonly [key: string]: unknown };
  const areTexts = (...values: readonly unknown[]): boolean => values.every((value) => typeof value === 'string');
  switch (message['type']) {
    case 'announce':
      return heard as Broadcast;
    case 'connect':
      return areTexts(message['from'], message['publicKey']) ? (heard as Broadcast) : undefined;
    case 'accepted':
      return areTexts(message['to'], message['from'], message['publicKey']) ? (heard as Broadcast) : undefined;
    case 'data': {
      const { to, number, ciphertext, blobs } = message;
      const isOne = areTexts(to) && Number.isSafeInteger(number) && (number as number) >= 0;
      return isOne && ciphertext instanceof ArrayBuffer && Array.isArray(blobs) ? (heard as Broadcast) : undefined;
    }
    default:
      return undefined;
  }
}
