/**
 * Every way tabserve refuses or fails. A code exists because a caller does something different about it.
 *
 * - `invalid_request`: a parameter is malformed; `param` names it
 * - `unsupported_parameter`: a known OpenAI parameter that tabserve does not implement yet; `param` names it
 * - `context_length_exceeded`: the prompt does not fit the context
 * - `model_busy`: no room on the GPU beside models that other tabs are using; `details.models` says which
 * - `model_not_found`: nothing at that URL, path or hub name, or a `File` that cannot be read any more: choose it again
 * - `access_denied`: the server wants a permission: a gated or private model, or a signed URL that has expired; sign in, or
 *   give a token or a new link
 * - `unsupported_model`: an architecture, tokenizer or file format not supported, or a chat without a chat template
 * - `unsupported_tensor`: a tensor's type or shape not supported; the message names both
 * - `corrupt_model`: bytes that contradict their own header or checksum
 * - `download_failed`: the network gave up; what has arrived is kept and the next try resumes
 * - `storage_failed`: the browser's storage refused
 * - `profiling_unavailable`: the GPU gives no timestamps
 * - `webgpu_unavailable`: no usable WebGPU here; the message says what is missing
 * - `wrong_results`: the GPU computes wrong numbers, by a test at load; the message names it, its kernel, and what to do
 * - `device_lost`: the GPU device was lost
 * - `out_of_memory`: more than the GPU has, or may be taken of it: `details` has the numbers where they are known
 * - `queue_full`: too many requests wait; `details.retryAfterMs` says when to try again
 * - `deadline_exceeded`: the request's own time limit passed before it was done
 * - `aborted`: the caller, or the caller's tab going away, ended it; such an error's `name` is `AbortError`
 * - `closed`: the client has been closed
 * - `internal`: a bug in tabserve
 */
export type ErrorCode =
  | 'invalid_request'
  | 'unsupported_parameter'
  | 'context_length_exceeded'
  | 'model_busy'
  | 'model_not_found'
  | 'access_denied'
  | 'unsupported_model'
  | 'unsupported_tensor'
  | 'corrupt_model'
  | 'download_failed'
  | 'storage_failed'
  | 'profiling_unavailable'
  | 'webgpu_unavailable'
  | 'wrong_results'
  | 'device_lost'
  | 'out_of_memory'
  | 'queue_full'
  | 'deadline_exceeded'
  | 'aborted'
  | 'closed'
  | 'internal';

/** Details that a caller may act on beyond the code. */
export interface ErrorDetails {
  /** In how many milliseconds another try has a chance; estimated from how fast requests have been ending. */
  readonly retryAfterMs?: number;
  /** A model that is in the way: `createClient` with this one joins. Absent where each is a file of a user's. */
  readonly loadedModel?: string;
  /** The models that are in the way. */
  readonly models?: readonly ModelHolder[];
  /** GPU memory that the model takes at least, with the smallest KV cache that is of use. */
  readonly neededBytes?: number;
  /** The part that other models leave. */
  readonly freeBytes?: number;
  /** The limit of all models: `gpuMemoryBytes`, or the GPU's. */
  readonly budgetBytes?: number;
}

/** A model that cannot be unloaded at the moment, and why. */
export interface ModelHolder {
  readonly id: string;
  readonly gpuBytes: number;
  /** Tabs (clients) that have loaded it. */
  readonly sessions: number;
  /** Of theirs, running or waiting; none where it is being loaded. */
  readonly requests: number;
}

/** The plain-data form of an error: what crosses a worker. */
export interface SerializedError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly param?: string;
  readonly details?: ErrorDetails;
}

/** The only error type tabserve throws. `code` survives the way from the worker to the tab. */
export class TabserveError extends Error {
  /** `AbortError` where the code is `aborted`: what code that aborts a `fetch` looks for. */
  override readonly name: 'TabserveError' | 'AbortError';
  readonly code: ErrorCode;
  /** The request parameter at fault, where there is one. */
  readonly param: string | undefined;
  readonly details: ErrorDetails | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options?: { param?: string | undefined; details?: ErrorDetails | undefined; cause?: unknown },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = code === 'aborted' ? 'AbortError' : 'TabserveError';
    this.code = code;
    this.param = options?.param;
    this.details = options?.details;
  }
}

/** A message for any thrown value, even one that cannot be converted to a string. */
export function textOf(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } catch {
    return 'a value without a text';
  }
}

/** Any thrown value as plain data: a foreign error becomes `internal`, or `aborted` where it is an AbortError. */
export function serializeError(error: unknown): SerializedError {
  if (error instanceof TabserveError) {
    const { code, message, param, details } = error;
    return { code, message, ...(param === undefined ? {} : { param }), ...(details === undefined ? {} : { details }) };
  }
  if (error instanceof DOMException && error.name === 'AbortError') return { code: 'aborted', message: error.message };
  return { code: 'internal', message: textOf(error) };
}

export function deserializeError(error: SerializedError): TabserveError {
  const { code, message, param, details } = error;
  return new TabserveError(code, message, { param, details });
}

/** Any thrown value as a {@link TabserveError}, which it may be already; the original is its `cause`. */
export function toTabserveError(error: unknown): TabserveError {
  if (error instanceof TabserveError) return error;
  const { code, message } = serializeError(error);
  return new TabserveError(code, message, { cause: error });
}

/**
 * A given model, for the message of an error that refuses it: without its query, which may contain a secret. A valid
 * model URL has a name that can be shown instead (`modelName` of download/).
 */
export function hideQuery(given: string): string {
  return given.replace(/\?.*/s, '?…');
}
