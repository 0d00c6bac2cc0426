import { expose } from 'comlink';
import { holdLock } from '../core/locks.ts';
import { hostLockName } from '../core/protocol.ts';
import { registerErrorTransfer } from '../core/transfer-errors.ts';
import { Host } from './host.ts';
import type { LoadModel } from './served-model.ts';
import { Session } from './session.ts';

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? `${error.name}: ${error.message}`) : String(error);
}

/**
 * Makes this SharedWorker a host: each port that connects becomes a session. Whatever the worker fails to catch
 * reaches the tabs' logs, since nobody sees a SharedWorker's console.
 */
export function serveSharedWorker(loadModel: LoadModel): void {
  registerErrorTransfer();
  const host = new Host({ loadModel, clock: () => performance.now() });
  const lockName = hostLockName(crypto.randomUUID());
  const locked = holdLock(navigator.locks, lockName);
  addEventListener('error', (event) => host.log('error', describe(event.error ?? event.message)));
  addEventListener('unhandledrejection', (event) => host.log('error', describe(event.reason)));
  addEventListener('connect', (event) => {
    const port = (event as MessageEvent).ports[0];
    if (port === undefined) return;
    // A tab that learns the lock's name before the lock is held would take this worker for dead.
    void locked.then(() => expose(new Session({ host, locks: navigator.locks, hello: { lockName } }), port));
  });
}
