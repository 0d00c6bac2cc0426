import { TabserveError } from '../core/errors.ts';

/** A request's body, not checked yet. */
export type Body = Readonly<Record<string, unknown>>;

export function invalid(message: string, param: string): TabserveError {
  return new TabserveError('invalid_request', message, { param });
}

/** `undefined` where the parameter is absent or null: OpenAI takes the two for the same. */
export function numberIn(body: Body, param: string, min: number, max: number): number | undefined {
  const value = body[param];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !(value >= min && value <= max)) {
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw invalid(`"${param}" must be a number ${range}.`, param);
  }
  return value;
}

export function integerIn(body: Body, param: string, min: number, max: number): number | undefined {
  const value = numberIn(body, param, min, max);
  if (value !== undefined && !Number.isInteger(value)) throw invalid(`"${param}" must be a whole number.`, param);
  return value;
}

export function booleanIn(body: Body, param: string, path = param): boolean | undefined {
  const value = body[param];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'boolean') throw invalid(`"${path}" must be true or false.`, path);
  return value;
}
