import { BroadcastLink } from '../core/broadcast-link.ts';
import type { Channel } from '../core/broadcast-link.ts';
import type { Link } from '../core/link.ts';
import { KeyExchange } from '../core/link-keys.ts';
import type { LinkEnd } from '../core/link-keys.ts';
import { readBroadcast } from '../core/rendezvous.ts';
import type { Broadcast, WelcomeMessage } from '../core/rendezvous.ts';

export interface ChannelReceptionOptions {
  readonly channel: Channel;
  /** Held while this worker lives. */
  readonly hostLock: string;
  /** Makes a link's other end a session. */
  readonly accept: (link: Link) => void;
}

/** Gives tabs that connect over a channel links to this worker, each with keys of its own. */
export async function listenOnChannel({ channel, hostLock, accept }: ChannelReceptionOptions): Promise<void> {
  const exchange = await KeyExchange.begin();
  const { publicKey } = exchange;
  const post = (message: Broadcast): void => channel.postMessage(message);
  const known = new Set<string>();
  const answer = async (tab: LinkEnd): Promise<void> => {
    const worker = { address: crypto.randomUUID(), publicKey };
    const keys = await exchange.agree('worker', { tab, worker });
    const link = new BroadcastLink({ channel, local: worker.address, remote: tab.address, keys: Promise.resolve(keys) });
    accept(link);
    post({ type: 'accepted', to: tab.address, from: worker.address, publicKey });
    link.postMessage({ hostLock } satisfies WelcomeMessage);
  };
  channel.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
    const message = readBroadcast(data);
    if (message?.type !== 'connect') return;
    // A tab connects again when it hears an announcement. Anyone may have heard an address and use it.
    const peer = `${message.from} ${message.publicKey}`;
    if (known.has(peer)) return;
    known.add(peer);
    answer({ address: message.from, publicKey: message.publicKey }).catch(() => {}); // not a tab's key
  });
  post({ type: 'announce' });
}
