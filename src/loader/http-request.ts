import { TabserveError } from '../core/errors.ts';
import { abortedError, DEFAULT_RETRIES, TransientFault } from './retry.ts';
import type { RetryPolicy } from './retry.ts';

/** What every request of a file shares. */
export interface HttpContext {
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal | undefined;
  readonly retries: RetryPolicy;
  /** A connection that brings nothing for this long is given up. */
  readonly idleTimeoutMs: number;
  readonly log: (message: string) => void;
  /** Called as bytes of the file arrive. */
  readonly onBytes: (offset: number, length: number) => void;
}

export function httpContext(options: Partial<HttpContext>): HttpContext {
  return {
    fetch: (input, init) => fetch(input, init),
    signal: undefined,
    retries: DEFAULT_RETRIES,
    idleTimeoutMs: 30_000,
    log: () => {},
    onBytes: () => {},
    ...options,
  };
}

/** One request and its body, ended by the caller's signal or by silence. */
export interface HttpExchange {
  readonly response: Response;
  /** The body's pieces. Ends without error only where the server ended the body. */
  chunks(): AsyncGenerator<Uint8Array<ArrayBuffer>>;
  /** Drops the connection; harmless when the body has been read. */
  cancel(): void;
}

/**
 * Sends one request.
 *
 * @throws TransientFault where the network failed or the server is unable for now
 * @throws TabserveError `model_not_found`, `access_denied`, `download_failed` (refused) or `aborted`
 */
export async function exchange(
  url: string,
  init: { readonly method: 'GET' | 'HEAD'; readonly range?: string },
  context: HttpContext,
): Promise<HttpExchange> {
  const watch = new Watchdog(context);
  try {
    const response = await context.fetch(url, {
      method: init.method,
      headers: init.range === undefined ? {} : { Range: init.range },
      // The browser's own HTTP cache would keep a second copy beside ours.
      cache: 'no-store',
      signal: watch.signal,
    });
    watch.feed();
    checkStatus(url, response);
    return { response, chunks: () => readChunks(url, response, watch), cancel: () => watch.stop() };
  } catch (error) {
    watch.stop();
    throw watch.explain(error, `Could not reach ${url}: ${unreachable()}.`);
  }
}

async function* readChunks(
  url: string,
  response: Response,
  watch: Watchdog,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  try {
    const reader = response.body?.getReader();
    if (reader === undefined) return;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      watch.rest(); // the time the consumer takes is not the server's
      yield value;
      watch.feed();
    }
  } catch (error) {
    throw watch.explain(error, `The connection to ${url} was lost.`);
  } finally {
    watch.stop();
  }
}

/** Aborts a request when the caller says so or when it has been silent for too long. */
class Watchdog {
  readonly #controller = new AbortController();
  readonly #context: HttpContext;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isSilent = false;
  readonly #onAbort = (): void => this.#controller.abort();

  constructor(context: HttpContext) {
    this.#context = context;
    if (context.signal?.aborted === true) throw abortedError();
    context.signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.feed();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Stops waiting for the server. */
  rest(): void {
    clearTimeout(this.#timer);
  }

  /** Starts waiting for it anew. */
  feed(): void {
    this.rest();
    this.#timer = setTimeout(() => {
      this.#isSilent = true;
      this.#controller.abort();
    }, this.#context.idleTimeoutMs);
  }

  stop(): void {
    this.rest();
    this.#context.signal?.removeEventListener('abort', this.#onAbort);
    this.#controller.abort();
  }

  /** What a failed fetch means: the caller's abort, silence, or the network (which a browser does not tell apart). */
  explain(error: unknown, message: string): Error {
    if (error instanceof TabserveError || error instanceof TransientFault) return error;
    if (this.#context.signal?.aborted === true) return abortedError();
    if (this.#isSilent) return new TransientFault(`The server sent nothing for ${this.#context.idleTimeoutMs} ms.`);
    return new TransientFault(message, { cause: error });
  }
}

function unreachable(): string {
  if (globalThis.navigator?.onLine === false) return 'this device is offline';
  return 'the network failed, or the server does not let this page read it (CORS)';
}

function checkStatus(url: string, response: Response): void {
  const { status } = response;
  if (response.ok || status === 416) return; // 416: what it means is the caller's to say
  if (status === 404 || status === 410) {
    throw new TabserveError('model_not_found', `There is nothing at ${url} (HTTP ${status}); check the name.`);
  }
  if (status === 401 || status === 403) {
    const why = url.startsWith('https://huggingface.co/')
      ? 'no such repository, or a private or gated one. Check the name; a gated file can be downloaded and opened here'
      : 'it asks for a permission that tabserve does not send. Download the file and open it here';
    throw new TabserveError('access_denied', `The server refused ${url} (HTTP ${status}): ${why}.`);
  }
  if (status === 408 || status === 429 || status >= 500) {
    const seconds = Number(response.headers.get('retry-after') ?? '0');
    const retryAfterMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
    throw new TransientFault(`The server of ${url} answered HTTP ${status}.`, { retryAfterMs });
  }
  throw new TabserveError('download_failed', `The server answered ${url} with HTTP ${status}.`);
}
