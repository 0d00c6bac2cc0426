import { TabserveError, type ErrorCode, type ErrorDetails, type ModelHolder } from '../../src/index.ts';
import { count } from './block-map.ts';
import { formatBytes } from './format.ts';
import { isRecord } from './is-record.ts';
import { labelOf } from './model-choice.ts';
import { WORDS, words, type Remedy } from './problem-words.ts';

/** An error in human words. Plain data: it is stored with the conversation. */
export interface Problem {
  readonly code: ErrorCode;
  readonly title: string;
  readonly advice: string;
  /** The error's own message. */
  readonly detail: string;
  readonly remedy: Remedy;
  /** The model that other tabs use, where that is in the way and can be used here too. */
  readonly loadedModel?: string;
  /** When another try has a chance, in milliseconds since 1970. */
  readonly retryAt?: number;
  /** Whether the connection is what is missing: loading goes on when it is back. */
  readonly offline?: boolean;
}

/** The state of the page when an error occurs. */
export interface Circumstances {
  /** Whether a part of the model had been downloaded. @default true */
  readonly hasArrived?: boolean;
  /** Whether the browser has a connection. @default true */
  readonly isOnline?: boolean;
  /** Milliseconds since 1970. @default now */
  readonly now?: number;
}

/** A download that failed before anything came. */
const UNREACHABLE = words(
  'The model could not be fetched',
  'Nothing has arrived. Check the address and the connection, or choose another model.',
  'try-loading',
);

const OFFLINE = words(
  'You are offline',
  'The model is not on this device in full, so the rest has to come over the network. What has arrived is kept, and loading ' +
    'goes on by itself when the connection is back. A model that is on this device loads without one.',
  'try-loading',
);

const BAD_ADDRESS = words(
  'That is not the address of a model',
  'Give an https address of a .gguf file, hf:owner/repo/file.gguf (with @revision if you like), or a path on this site ' +
    'such as /models/file.gguf.',
  'choose-model',
);

/** Any thrown value in human words. Told apart by `code` alone, which is what survives every way an error can come. */
export function toProblem(error: unknown, { hasArrived = true, isOnline = true, now = Date.now() }: Circumstances = {}): Problem {
  const detail = messageOf(error);
  const code = isRecord(error) && isErrorCode(error['code']) ? error['code'] : 'internal';
  const details = detailsOf(error);
  const { loadedModel, retryAfterMs, models = [] } = details;
  const problem = { code, detail, ...WORDS[code] };
  if (code === 'download_failed' && !isOnline) return { ...problem, ...OFFLINE, offline: true };
  if (code === 'download_failed' && !hasArrived) return { ...problem, ...UNREACHABLE };
  if (code === 'out_of_memory') return { ...problem, advice: `${problem.advice}${memoryFigures(details)}` };
  if (code === 'model_busy') {
    const advice = models.length === 0 ? problem.advice : `${holders(models)} ${problem.advice}`;
    return loadedModel === undefined ? { ...problem, advice } : { ...problem, advice, remedy: 'use-loaded', loadedModel };
  }
  return retryAfterMs === undefined ? problem : { ...problem, retryAt: now + retryAfterMs };
}

/** The given model address is not valid. */
export function badAddress(given: string): Problem {
  return { code: 'invalid_request', detail: given, ...BAD_ADDRESS };
}

/** Whether a value out of a storage is one. */
export function isProblem(value: unknown): value is Problem {
  if (!isRecord(value) || !isErrorCode(value['code'])) return false;
  return ['title', 'advice', 'detail', 'remedy'].every((name) => typeof value[name] === 'string');
}

const isErrorCode = (code: unknown): code is ErrorCode => typeof code === 'string' && Object.hasOwn(WORDS, code);

/** The models on the GPU: `“one” has 1.00 GB of it (2 tabs, 1 answer running).` */
function holders(models: readonly ModelHolder[]): string {
  return models.map(({ id, gpuBytes, sessions, requests }) => {
    const running = requests > 0 ? `${count(requests, 'answer')} running` : 'being loaded';
    return `“${labelOf(id)}” has ${formatBytes(gpuBytes)} of it (${count(sessions, 'tab')}, ${running}).`;
  }).join(' ');
}

function memoryFigures({ neededBytes, freeBytes, budgetBytes }: ErrorDetails): string {
  if (neededBytes === undefined) return '';
  const [free, budget] = [freeBytes, budgetBytes].map((bytes) => (bytes === undefined ? undefined : formatBytes(bytes)));
  const left = free === undefined ? '' : `; ${free}${budget === undefined ? '' : ` of ${budget}`} is free`;
  return ` It takes ${formatBytes(neededBytes)}${left}.`;
}

function detailsOf(error: unknown): ErrorDetails {
  return error instanceof TabserveError ? (error.details ?? {}) : {};
}

function messageOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
}
