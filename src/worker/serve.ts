import { expose } from 'comlink';
import type { Link } from '../core/link.ts';
import { holdLock } from '../core/locks.ts';
import { hostLockName } from '../core/protocol.ts';
import type { ListenMessage, StartedMessage } from '../core/rendezvous.ts';
import { registerErrorTransfer } from '../core/transfer-errors.ts';
import { listenOnChannel } from './channel-reception.ts';
import { GPU_CHANNEL } from './gpu-lease.ts';
import { ModelManager, type ModelManagerOptions } from './model-manager.ts';
import { Session } from './session.ts';

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? `${error.name}: ${error.message}`) : String(error);
}

/** The parts that a worker is given. */
type WorkerParts = Pick<ModelManagerOptions, 'loadModel' | 'prefixes'>;

/** This worker, and how tabs connect to it. */
interface Reception {
  /** Held while this worker lives. */
  readonly lockName: string;
  /** Makes a link's other end a session. */
  readonly accept: (link: Link) => void;
}

/**
 * Sets up the worker's models. Uncaught errors reach the tabs' logs, since nobody sees a SharedWorker's console. Resolves
 * when the worker's lock is held: a tab that learns the lock's name earlier would take this worker for dead.
 */
async function openReception(parts: WorkerParts): Promise<Reception> {
  registerErrorTransfer();
  const { locks } = navigator;
  const gpuChannel = new BroadcastChannel(GPU_CHANNEL);
  const manager = new ModelManager({ ...parts, locks, gpuChannel, clock: () => performance.now() });
  addEventListener('error', (event) => manager.sessions.log('error', describe(event.error ?? event.message)));
  addEventListener('unhandledrejection', (event) => manager.sessions.log('error', describe(event.reason)));
  const lockName = hostLockName(crypto.randomUUID());
  await holdLock(locks, lockName);
  const hello = { lockName, hasWebGpu: 'gpu' in navigator };
  return { lockName, accept: (link) => expose(new Session({ manager, locks, link, hello, die: () => close() }), link) };
}

/** Serves models from this SharedWorker. Each port that connects becomes a session. */
export function serveSharedWorker(parts: WorkerParts): void {
  const reception = openReception(parts);
  addEventListener('connect', (event) => {
    const port = (event as MessageEvent).ports[0];
    if (port !== undefined) void reception.then(({ accept }) => accept(port));
  });
}

/** Serves models from this dedicated Worker. Its tab says where the other tabs will connect. */
export function serveElectedWorker(parts: WorkerParts): void {
  const reception = openReception(parts);
  void reception.then(({ lockName }) => postMessage({ type: 'started', lockName } satisfies StartedMessage));
  addEventListener('message', ({ data, ports }: MessageEvent<ListenMessage>) => {
    void reception.then((open) => {
      const { lockName: hostLock, accept } = open;
      if (data.type === 'broadcast') return listenOnChannel({ channel: new BroadcastChannel(data.channel), hostLock, accept });
      if (ports[0] !== undefined) listenToBroker(ports[0], open);
      return undefined;
    });
  });
}

function listenToBroker(broker: MessagePort, { accept }: Reception): void {
  broker.onmessage = ({ ports: [link] }) => {
    if (link !== undefined) accept(link);
  };
}
