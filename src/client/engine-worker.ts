import { TabserveError } from '../core/errors.ts';

/** How long a new worker may take to answer: it loads its code first, which a development server sends file by file. */
export const WORKER_START_MS = 60_000;

/**
 * A SharedWorker is kept by URL and name, and an open tab would keep old code alive: each release, and each build while
 * developing, has a worker of its own.
 */
function workerName(): string {
  return typeof __TABSERVE_BUILD_ID__ === 'undefined' ? 'tabserve' : `tabserve-${__TABSERVE_BUILD_ID__}`;
}

/** The origin's engine: started by the first tab, joined by the others. The form is one that bundlers recognise. */
export function startEngineWorker(): SharedWorker {
  return new SharedWorker(new URL('../worker/shared-worker.ts', import.meta.url), {
    type: 'module',
    name: workerName(),
  });
}

/** Calls `failed` when the worker cannot be started, or does not answer in time; not once `answered` is aborted. */
export function watchStart(
  worker: SharedWorker,
  timeoutMs: number,
  answered: AbortSignal,
  failed: (error: TabserveError) => void,
): void {
  const fail = (message: string): void => failed(new TabserveError('internal', message));
  const timer = setTimeout(() => {
    fail(`The engine's worker did not answer in ${timeoutMs / 1000} s; chrome://inspect/#workers shows its errors.`);
  }, timeoutMs);
  answered.addEventListener('abort', () => clearTimeout(timer), { once: true });
  const onError = (event: Event): void => {
    const detail = event instanceof ErrorEvent && event.message !== '' ? `: ${event.message}` : '';
    fail(`The engine's worker could not be started${detail}. Is its script served, as JavaScript, from this origin?`);
  };
  worker.addEventListener('error', onError, { signal: answered });
}
