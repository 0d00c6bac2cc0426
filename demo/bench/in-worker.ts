import { type Remote, wrap } from 'comlink';

/** What a worker's API answers; the worker ends with it. */
export async function inWorker<Api, Result>(worker: Worker, ask: (api: Remote<Api>) => Promise<Result>): Promise<Result> {
  try {
    return await ask(wrap<Api>(worker));
  } finally {
    worker.terminate();
  }
}
