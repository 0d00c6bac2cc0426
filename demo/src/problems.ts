import { TabserveError, type ErrorCode } from '../../src/index.ts';

/** What the page can offer to do about a problem. */
export type Remedy = 'retry' | 'new-chat' | 'reload-model' | 'try-loading' | 'choose-model' | 'use-loaded' | 'none';

/** An error in human words. Plain data: it is stored with the conversation. */
export interface Problem {
  readonly code: ErrorCode;
  readonly title: string;
  readonly advice: string;
  /** What the error itself said. */
  readonly detail: string;
  readonly remedy: Remedy;
  /** The model that other tabs use, where that is in the way and can be used here too. */
  readonly loadedModel?: string;
}

type Words = Pick<Problem, 'title' | 'advice' | 'remedy'>;

const words = (title: string, advice: string, remedy: Remedy): Words => ({ title, advice, remedy });

const WORDS: Readonly<Record<ErrorCode, Words>> = {
  invalid_request: words('The request was refused', 'Check the settings, then try again.', 'retry'),
  unsupported_parameter: words('A setting is not supported yet', 'Change it in the settings, then try again.', 'retry'),
  context_length_exceeded: words(
    'This conversation is too long for the model',
    'Everything said so far has to fit into its context. Start a new chat, or ask something shorter.',
    'new-chat',
  ),
  model_busy: words(
    'Other tabs’ models leave no room on the GPU',
    'They are answering just now. Load this model again when they are done, use theirs here too, or close their tab.',
    'choose-model',
  ),
  model_not_found: words('No model was found there', 'Check the address, or choose another model.', 'choose-model'),
  access_denied: words(
    'The server does not give this model to everyone',
    'It is private or gated. Download the file with an account that may have it, and open it here; or choose another model.',
    'choose-model',
  ),
  unsupported_model: words(
    'This kind of model is not supported yet',
    'tabserve reads GGUF files of the llama architecture. Choose another model.',
    'choose-model',
  ),
  unsupported_tensor: words(
    'This file uses a number format that is not supported yet',
    'Choose a file in Q4_0, Q4_1 or Q8_0.',
    'choose-model',
  ),
  corrupt_model: words('The model file is damaged', 'Load it again, or choose another file.', 'reload-model'),
  download_failed: words(
    'The download was interrupted',
    'What has arrived is kept; trying again goes on from there.',
    'reload-model',
  ),
  storage_failed: words(
    'The browser refused to store the model',
    'Free some disk space, or leave private browsing, and try again.',
    'reload-model',
  ),
  profiling_unavailable: words('The GPU gives no timestamps', 'Steps cannot be profiled in this browser.', 'none'),
  webgpu_unavailable: words('WebGPU is not available here', 'tabserve runs models on your GPU through WebGPU.', 'none'),
  queue_full: words(
    'Too many questions wait already',
    'All tabs share one engine, and its queue is full. Try again in a moment.',
    'retry',
  ),
  deadline_exceeded: words('The answer took too long', 'Its time limit passed first. Try again.', 'retry'),
  device_lost: words(
    'The GPU went away',
    'Its driver was reset, or the system took it back. Nothing you wrote is lost: load the model again and go on.',
    'reload-model',
  ),
  out_of_memory: words(
    'The GPU ran out of memory',
    'Choose a smaller model, or a smaller quantisation of it; or close what else uses the GPU, and load it again.',
    'reload-model',
  ),
  aborted: words('The answer was stopped', 'Ask again when you like.', 'retry'),
  closed: words('The engine has been closed', 'Load the model again to go on.', 'reload-model'),
  internal: words('Something went wrong inside tabserve', 'Try again; if it stays, please report it.', 'retry'),
};

const isErrorCode = (code: unknown): code is ErrorCode => typeof code === 'string' && Object.hasOwn(WORDS, code);

/** A download that failed before anything came. */
const UNREACHABLE = words(
  'The model could not be fetched',
  'Nothing has arrived. Check the address and the connection, or choose another model.',
  'try-loading',
);

const BAD_ADDRESS = words(
  'That is not the address of a model',
  'Give an https address of a .gguf file, hf:owner/repo/file.gguf (with @revision if you like), or a path on this site ' +
    'such as /models/file.gguf.',
  'choose-model',
);

/**
 * Any thrown value in human words. Told apart by `code` alone, which is what survives every way an error can come.
 *
 * @param hasArrived whether a part of the model had been downloaded
 */
export function toProblem(error: unknown, hasArrived = true): Problem {
  const detail = messageOf(error);
  const code: unknown = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  const known = isErrorCode(code) ? code : 'internal';
  const loadedModel = loadedModelOf(error);
  if (loadedModel !== undefined) return { code: known, detail, ...WORDS[known], remedy: 'use-loaded', loadedModel };
  return { code: known, detail, ...(known === 'download_failed' && !hasArrived ? UNREACHABLE : WORDS[known]) };
}

/** What was given as a model's address is none. */
export function badAddress(given: string): Problem {
  return { code: 'invalid_request', detail: given, ...BAD_ADDRESS };
}

function loadedModelOf(error: unknown): string | undefined {
  return error instanceof TabserveError ? error.details?.loadedModel : undefined;
}

function messageOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
}
