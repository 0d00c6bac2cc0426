import { TabserveError } from '../core/errors.ts';
import type { HostLink, Transport } from './transport.ts';

/** The engine in a SharedWorker: the browser itself brings every tab to the same one. */
export class SharedWorkerTransport implements Transport {
  readonly #start: () => SharedWorker;

  constructor(start: () => SharedWorker) {
    this.#start = start;
  }

  async open(): Promise<HostLink> {
    const worker = this.#start();
    worker.port.start();
    return { link: worker.port, hostLock: undefined, broken: watchScript(worker) };
  }

  close(): void {}
}

/** Aborted when the worker's script cannot be loaded. */
export function watchScript(worker: SharedWorker | Worker): AbortSignal {
  const broken = new AbortController();
  const onError = (event: Event): void => {
    const detail = event instanceof ErrorEvent && event.message !== '' ? `: ${event.message}` : '';
    const message = `The engine's worker could not be started${detail}. Is its script served, as JavaScript, from this origin?`;
    broken.abort(new TabserveError('internal', message));
  };
  worker.addEventListener('error', onError, { once: true });
  return broken.signal;
}
