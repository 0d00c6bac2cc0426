import type { ErrorCode } from '../../src/index.ts';
import { FORMATS } from './gguf-names.ts';

/** The actions that the page can offer for a problem. */
export type Remedy =
  | 'retry' | 'new-chat' | 'reload-model' | 'try-loading' | 'choose-model' | 'use-loaded' | 'free-space' | 'settings' | 'none';

export interface Words {
  readonly title: string;
  readonly advice: string;
  readonly remedy: Remedy;
}

export const words = (title: string, advice: string, remedy: Remedy): Words => ({ title, advice, remedy });

/** The meaning of each error for the user, and a remedy. */
export const WORDS: Readonly<Record<ErrorCode, Words>> = {
  invalid_request: words(
    'The request was refused',
    'One of the settings is out of range. Change it, or reset them to their defaults, then try again.',
    'settings',
  ),
  unsupported_parameter: words(
    'A setting is not supported yet',
    'Change it in the settings, or reset them to their defaults, then try again.',
    'settings',
  ),
  context_length_exceeded: words(
    'This conversation is too long for the model',
    'Everything said so far has to fit into its context. Start a new chat (this one is kept), or edit the question to a shorter one.',
    'new-chat',
  ),
  model_busy: words(
    'Other tabs’ models leave no room on the GPU',
    'Try again when their answers are done: a model that nobody is asking makes room by itself. Or use a model that is loaded, or ' +
      'close those tabs.',
    'reload-model',
  ),
  model_not_found: words(
    'No model was found there',
    'Check the address: the owner, the repository, and the file with its ending. Or choose another model.',
    'choose-model',
  ),
  access_denied: words(
    'The server does not give this model to everyone',
    'It is private or gated. Download the file with an account that may have it, and open it here; or choose another model.',
    'choose-model',
  ),
  unsupported_model: words(
    'This kind of model is not supported yet',
    'tabserve reads GGUF files of the architectures llama, qwen2 and qwen3. What it said below names what is missing; choose another model.',
    'choose-model',
  ),
  unsupported_tensor: words(
    'This file uses a number format that is not supported yet',
    `Choose a file of the same model in another format: ${FORMATS}.`,
    'choose-model',
  ),
  corrupt_model: words(
    'The model file is damaged',
    'Load it again: what is damaged on this device is fetched anew. If it stays, the file itself is; choose another.',
    'reload-model',
  ),
  download_failed: words(
    'The download was interrupted',
    'What has arrived is kept; trying again goes on from there.',
    'reload-model',
  ),
  storage_failed: words(
    'There is no room for the model',
    'This browser refused to store it. Delete models that you no longer need, free some disk space, or leave private ' +
      'browsing; then load it again.',
    'free-space',
  ),
  profiling_unavailable: words('The GPU gives no timestamps', 'Steps cannot be profiled in this browser. Nothing else is affected.', 'none'),
  webgpu_unavailable: words(
    'The browser offers no GPU',
    'Hardware acceleration may be off, the driver blocked, or the GPU held back after crashes. Wait some minutes or restart the ' +
      'browser, then load the model again.',
    'reload-model',
  ),
  wrong_results: words(
    'This GPU computes wrong numbers',
    'Answers would be nonsense, so the model was not started; its download is kept. Update the graphics driver and the browser, or ' +
      'open this page in another browser. If that does not help, please report it with the words below.',
    'reload-model',
  ),
  queue_full: words(
    'Too many questions wait already',
    'All tabs share one engine, and its queue is full. Your question is kept: try again when some have been answered.',
    'retry',
  ),
  deadline_exceeded: words('The answer took too long', 'Its time limit passed first. Try again, or ask for something shorter.', 'retry'),
  device_lost: words(
    'The GPU went away',
    'Its driver was reset, or the system took it back. Nothing you wrote is lost: load the model again and go on.',
    'reload-model',
  ),
  out_of_memory: words(
    'The GPU ran out of memory',
    'Choose a smaller model, or a smaller quantisation of it; or close other programs and pages that use the GPU, and load it again.',
    'reload-model',
  ),
  aborted: words('The answer was stopped', 'What it said is kept. Ask again when you like.', 'retry'),
  closed: words('The engine has been closed', 'Load the model again to go on.', 'reload-model'),
  internal: words('Something went wrong inside tabserve', 'Try again. If it stays, please report it with the words below.', 'retry'),
};
