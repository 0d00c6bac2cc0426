import { TabserveError } from '../core/errors.ts';
import { modelName } from './model-name.ts';
import { abortedError, DEFAULT_RETRIES, parseRetryAfter, TransientFault } from './retry.ts';
import type { RetryPolicy } from './retry.ts';
import { signatureOf } from './signed-url.ts';

/** The options that all requests of a file share. */
export interface HttpContext {
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal | undefined;
  readonly retries: RetryPolicy;
  /** A connection without data for this long is cancelled. */
  readonly idleTimeoutMs: number;
  readonly log: (message: string) => void;
  /** Called as bytes of the file arrive. */
  readonly onBytes: (offset: number, length: number) => void;
  /**
   * Called when the wait for a server begins. The function it returns is called at its end, with whether data has
   * arrived.
   */
  readonly onWait: (url: string) => (hasCome: boolean) => void;
  /** Sent to that origin and no other. */
  readonly credentials: Credentials | undefined;
}

/** A secret. It goes into a header, and never into a message, log or storage. */
export interface Credentials {
  readonly origin: string;
  readonly token: string;
}

export function httpContext(options: Partial<HttpContext>): HttpContext {
  return {
    fetch: (input, init) => fetch(input, init),
    signal: undefined,
    retries: DEFAULT_RETRIES,
    idleTimeoutMs: 30_000,
    log: () => {},
    onBytes: () => {},
    onWait: () => () => {},
    credentials: undefined,
    ...options,
  };
}

export interface ExchangeInit {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly range?: string;
  readonly body?: string;
  readonly contentType?: string;
}

/** One request and its body, ended by the caller's signal or by a timeout. */
export interface HttpExchange {
  readonly response: Response;
  /** The body's chunks. Ends without an error only where the server ended the body. */
  chunks(): AsyncGenerator<Uint8Array<ArrayBuffer>>;
  /** Cancels the request; no effect when the body has been read. */
  cancel(): void;
}

/**
 * Sends one request.
 *
 * @throws TransientFault where the network failed or the server is temporarily unable
 * @throws TabserveError `model_not_found`, `access_denied`, `download_failed` (refused) or `aborted`
 */
export async function exchange(url: string, init: ExchangeInit, context: HttpContext): Promise<HttpExchange> {
  const watch = new Watchdog(url, context);
  const { method, range, body, contentType } = init;
  const name = modelName(url);
  const token = tokenFor(url, context);
  try {
    const response = await context.fetch(url, {
      method,
      headers: {
        ...(range === undefined ? {} : { Range: range }),
        ...(contentType === undefined ? {} : { 'Content-Type': contentType }),
        // On a redirect to another origin the browser drops the header (Fetch, HTTP-redirect fetch).
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body }),
      // The browser's own HTTP cache would store a second copy.
      cache: 'no-store',
      signal: watch.signal,
    });
    watch.feed();
    checkStatus(url, response, token !== undefined);
    return { response, chunks: () => readChunks(name, response, watch), cancel: () => watch.stop() };
  } catch (error) {
    watch.stop();
    const fault = watch.explain(error, `Could not reach ${name}: ${unreachable()}.`, true);
    throw (fault instanceof TransientFault && fault.isUnanswered && expiredLink(url, name)) || fault;
  }
}

async function* readChunks(
  name: string,
  response: Response,
  watch: Watchdog,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  try {
    const reader = response.body?.getReader();
    if (reader === undefined) return;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      watch.rest(); // the consumer's time does not count against the server
      yield value;
      watch.feed();
    }
  } catch (error) {
    throw watch.explain(error, `The connection to ${name} was lost.`);
  } finally {
    watch.stop();
  }
}

/** Aborts a request when the caller does, or when no data has arrived for too long. */
class Watchdog {
  readonly #controller = new AbortController();
  readonly #url: string;
  readonly #context: HttpContext;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #endWait: ((hasCome: boolean) => void) | undefined;
  #isSilent = false;
  readonly #onAbort = (): void => this.#controller.abort();

  constructor(url: string, context: HttpContext) {
    this.#url = url;
    this.#context = context;
    if (context.signal?.aborted === true) throw abortedError();
    context.signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.feed();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The server has sent data. The timer stops. */
  rest(): void {
    this.#endTheWait(true);
  }

  /** The wait begins. The timer starts anew. */
  feed(): void {
    this.rest();
    this.#endWait = this.#context.onWait(this.#url);
    this.#timer = setTimeout(() => {
      this.#isSilent = true;
      this.#controller.abort();
    }, this.#context.idleTimeoutMs);
  }

  stop(): void {
    this.#endTheWait(false);
    this.#context.signal?.removeEventListener('abort', this.#onAbort);
    this.#controller.abort();
  }

  #endTheWait(hasCome: boolean): void {
    clearTimeout(this.#timer);
    this.#endWait?.(hasCome);
    this.#endWait = undefined;
  }

  /**
   * The meaning of a failed fetch: the caller's abort, a timeout, or the network (which a browser does not
   * distinguish).
   */
  explain(error: unknown, message: string, isUnanswered = false): Error {
    if (error instanceof TabserveError || error instanceof TransientFault) return error;
    if (this.#context.signal?.aborted === true) return abortedError();
    const silent = `The server sent nothing for ${this.#context.idleTimeoutMs} ms.`;
    if (this.#isSilent) return new TransientFault(silent, { isSilent: true });
    return new TransientFault(message, { cause: error, isUnanswered });
  }
}

function unreachable(): string {
  if (globalThis.navigator?.onLine === false) return 'this device is offline';
  return 'the network failed, or the server does not let this page read it (CORS)';
}

function tokenFor(url: string, { credentials }: HttpContext): string | undefined {
  return credentials !== undefined && new URL(url).origin === credentials.origin ? credentials.token : undefined;
}

function checkStatus(url: string, response: Response, hadToken: boolean): void {
  const { status } = response;
  if (response.ok || status === 416) return; // 416: the caller interprets it
  const name = modelName(url);
  if (status === 404 || status === 410) {
    throw new TabserveError('model_not_found', `There is nothing at ${name} (HTTP ${status}); check the name.`);
  }
  const isSigned = signatureOf(url) !== undefined;
  // Google Cloud Storage answers 400 for an expired link, and S3 for expired credentials that signed it.
  if (status === 401 || status === 403 || (status === 400 && isSigned)) {
    const denied = hadToken ? DENIED_TOKEN : DENIED;
    const why = isSigned ? `${expiry(url) ?? DENIED_LINK}. ${NEW_LINK}` : denied;
    throw new TabserveError('access_denied', `The server refused ${name} (HTTP ${status}): ${why}.`);
  }
  if (status === 408 || status === 429 || status >= 500) {
    const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), Date.now());
    throw new TransientFault(`The server of ${name} answered HTTP ${status}.`, { retryAfterMs });
  }
  throw new TabserveError('download_failed', `The server answered ${name} with HTTP ${status}.`);
}

/**
 * The error where no answer can be read: servers refuse an expired link without the headers that allow a page to see
 * it.
 */
function expiredLink(url: string, name: string): TabserveError | undefined {
  const expired = globalThis.navigator?.onLine === false ? undefined : expiry(url);
  if (expired === undefined) return undefined;
  return new TabserveError('access_denied', `Could not read ${name}: ${expired}. ${NEW_LINK}.`);
}

/** States that a signed link has expired, and when, by this device's clock. */
function expiry(url: string): string | undefined {
  const expires = signatureOf(url)?.expires;
  return expires === undefined || expires > Date.now() ? undefined : `its link expired at ${new Date(expires).toISOString()}`;
}

const DENIED =
  'it asks for a permission: a hub says so of private and gated models, and of names it does not know. Check the name; ' +
  "accept the model's terms on its page and give a token (`hub.token`), or download the file and open it here";
const DENIED_TOKEN =
  "the token may not read it. Accept the model's terms on its page with the token's account, or give a token that can " +
  'read it';
const DENIED_LINK =
  "its link's signature is not accepted: it may have expired, be made for another address or method than GET, or there is " +
  'no such file';
const NEW_LINK = 'Give a link that is signed anew: the download continues with the parts in the browser’s storage';
