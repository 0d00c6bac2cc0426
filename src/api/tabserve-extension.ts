import { TabserveError } from '../core/errors.ts';
import { MAX_KEY_CHARS, type SchedulingOptions } from '../core/request.ts';

/** A priority is an integer within this distance of 0. */
const MAX_PRIORITY = 1_000_000;

function invalid(message: string, param: string): TabserveError {
  return new TabserveError('invalid_request', message, { param });
}

function parseText(value: unknown, param: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string' && value !== '' && value.length <= MAX_KEY_CHARS) return value;
  throw invalid(`"${param}" must be a text of 1 to ${MAX_KEY_CHARS} characters.`, param);
}

function parsePriority(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= MAX_PRIORITY) return value;
  throw invalid('"tabserve.priority" must be a whole number; lower is earlier, 0 is usual.', 'tabserve.priority');
}

function parseTimeout(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value;
  throw invalid('"tabserve.timeout_ms" must be a number of milliseconds greater than 0.', 'tabserve.timeout_ms');
}

/**
 * Reads the `tabserve` object of a request: what OpenAI's API has no word for.
 *
 * @returns `undefined` where there is none
 * @throws TabserveError `invalid_request`, with a `param` such as `tabserve.priority`
 */
export function parseTabserveExtension(value: unknown): SchedulingOptions | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) throw invalid('"tabserve" must be an object.', 'tabserve');
  const { priority, timeout_ms, supersede, cache_salt, ...rest } = value as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) {
    const known = 'priority, timeout_ms, supersede, cache_salt';
    throw invalid(`Unknown option "tabserve.${unknown}". There are: ${known}.`, `tabserve.${unknown}`);
  }
  return {
    priority: parsePriority(priority),
    timeoutMs: parseTimeout(timeout_ms),
    supersede: parseText(supersede, 'tabserve.supersede'),
    cacheSalt: parseText(cache_salt, 'tabserve.cache_salt'),
  };
}
