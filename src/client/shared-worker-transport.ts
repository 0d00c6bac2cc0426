import { TabserveError } from '../core/errors.ts';
import type { HostLink, Transport } from './transport.ts';
import { constructionFailure, scriptFailure } from './worker-script.ts';

/** The engine in a SharedWorker: the browser itself brings every tab to the same one. */
export class SharedWorkerTransport implements Transport {
  readonly #start: () => SharedWorker;
  readonly #url: URL | undefined;

  /** @param url the script's, where it is known */
  constructor(start: () => SharedWorker, url?: URL) {
    this.#start = start;
    this.#url = url;
  }

  async open(): Promise<HostLink> {
    const worker = startWorker(this.#start);
    worker.port.start();
    return { link: worker.port, hostLock: undefined, broken: watchScript(worker, this.#url) };
  }

  close(): void {}
}

/** @throws TabserveError `invalid_request` with `param` `workerUrl`, where the browser throws */
export function startWorker<Started>(start: () => Started): Started {
  try {
    return start();
  } catch (cause) {
    throw constructionFailure(cause);
  }
}

/** Aborted when the worker's script cannot be loaded, or throws. @param url the script's, where it is known */
export function watchScript(worker: SharedWorker | Worker, url: URL | undefined): AbortSignal {
  const broken = new AbortController();
  const onError = (event: Event): void => {
    const thrown = event instanceof ErrorEvent ? event.message : '';
    if (thrown === '') void scriptFailure({ url, isDedicated: !('port' in worker) }).then((failure) => broken.abort(failure));
    else broken.abort(new TabserveError('internal', `The engine's worker could not be started: ${thrown}.`));
  };
  worker.addEventListener('error', onError, { once: true });
  return broken.signal;
}
