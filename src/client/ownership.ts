import { TabserveError } from '../core/errors.ts';
import type { Locks } from '../core/locks.ts';
import type { ClientSession } from './session.ts';
import { ElectedTransport } from './elected-transport.ts';
import { shareOwner } from './engine-owner.ts';
import { CHANNEL, startBroker, startElectedEngine, startSharedEngine } from './engine-worker.ts';
import { BroadcastRendezvous, BrokerRendezvous } from './rendezvous.ts';
import type { Rendezvous } from './rendezvous.ts';
import { SharedWorkerTransport, startWorker } from './shared-worker-transport.ts';
import type { Transport } from './transport.ts';
import type { WorkerScript } from './worker-script.ts';

/**
 * Where the engine runs, and how tabs reach it:
 * - `shared-worker`: in a SharedWorker, which the browser itself brings every tab to.
 * - `elected`: in a Worker of one tab, elected by a Web Lock; another tab takes over when that one goes. A SharedWorker
 *   without a GPU brings the tabs together.
 * - `elected-broadcast`: likewise, with a BroadcastChannel in place of that SharedWorker. Every script of the origin hears
 *   that channel, so tokens, prompts and answers are encrypted on it. The content of a `File` as `model` is not: it is
 *   passed on by reference, which those who listen can read. Ports of a SharedWorker are heard by nobody else.
 */
export type Ownership = (typeof OWNERSHIPS)[number];

const OWNERSHIPS = ['shared-worker', 'elected', 'elected-broadcast'] as const;

/** Callers without types may pass anything. @throws TabserveError `invalid_request` with `param` `ownership` */
export function checkOwnership(ownership: unknown): void {
  if (ownership === undefined || OWNERSHIPS.some((each) => each === ownership)) return;
  throw new TabserveError('invalid_request', `\`ownership\` is none of ${OWNERSHIPS.join(', ')}.`, { param: 'ownership' });
}

/** How to reach an engine that runs there. @param script its script; `undefined`: where the bundler put it */
export function transportFor(ownership: Ownership, locks: Locks, script: WorkerScript | undefined): Transport {
  const elected = (rendezvous: Rendezvous): Transport => {
    const options = { locks, startWorker: () => startElectedEngine(script), workerUrl: script?.url, rendezvous };
    return new ElectedTransport(rendezvous, shareOwner(`${ownership} ${script?.url.href}`, options));
  };
  switch (ownership) {
    case 'shared-worker':
      return new SharedWorkerTransport(() => startSharedEngine(script), script?.url);
    case 'elected':
      return elected(new BrokerRendezvous(() => startWorker(() => startBroker(script)), locks, script?.url));
    case 'elected-broadcast':
      return elected(new BroadcastRendezvous(CHANNEL));
  }
}

/**
 * Opens a session where the page asks for it, else in the first place that works here: not every browser has
 * SharedWorkers, or WebGPU in them.
 */
export async function openWithFallback(
  open: (transport: Transport) => Promise<ClientSession>,
  locks: Locks,
  wanted: Ownership | undefined,
  script: WorkerScript | undefined,
): Promise<ClientSession> {
  const hasSharedWorker = 'SharedWorker' in globalThis;
  const ownership = wanted ?? (hasSharedWorker ? 'shared-worker' : 'elected-broadcast');
  const session = await open(transportFor(ownership, locks, script));
  if (wanted !== undefined || session.hasWebGpu || !hasSharedWorker) return session;
  await session.close(new TabserveError('closed', 'There is no WebGPU in a SharedWorker here.'));
  return open(transportFor('elected', locks, script));
}
