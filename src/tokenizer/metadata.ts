import { TabserveError } from '../core/errors.ts';

/** A GGUF file's metadata as a plain record, e.g. `tokenizer.ggml.tokens`. 64-bit numbers may be bigints. */
export type Metadata = Readonly<Record<string, unknown>>;

export function readString(metadata: Metadata, key: string): string | undefined {
  const value = metadata[key];
  if (value === undefined || typeof value === 'string') return value;
  throw malformed(key, 'a string');
}

/** Receives a sentence about each value of the file that is ignored. */
export type Warn = (message: string) => void;

/** A hint: a boolean, or 0 or 1. Anything else is ignored. */
export function readFlag(metadata: Metadata, key: string, warn: Warn): boolean | undefined {
  const value = metadata[key];
  if (value === undefined || typeof value === 'boolean') return value;
  if (value === 0 || value === 1) return value === 1;
  warn(`The model file's metadata ${key} is ${show(value)}, not a boolean; the default is used.`);
  return undefined;
}

/** A hint: the id of one of `size` tokens. Anything else is ignored. */
export function readTokenId(metadata: Metadata, key: string, size: number, warn: Warn): number | undefined {
  const value = metadata[key];
  if (value === undefined) return undefined;
  const id = typeof value === 'bigint' ? Number(value) : value;
  if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < size) return id;
  warn(`The model file's metadata ${key} is ${show(value)}, none of its ${size} tokens; the default is used.`);
  return undefined;
}

/** A hint: a text. Anything else is ignored. */
export function readHint(metadata: Metadata, key: string): string | undefined {
  const value = metadata[key];
  return typeof value === 'string' ? value : undefined;
}

/** A value, clipped for messages. */
function show(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 64)) : 'a list';
}

/** A non-negative integer. */
export function readInteger(metadata: Metadata, key: string): number | undefined {
  const value = metadata[key];
  if (value === undefined) return undefined;
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) return number;
  throw malformed(key, 'a non-negative integer');
}

export function readStrings(metadata: Metadata, key: string): readonly string[] | undefined {
  const value = metadata[key];
  if (value === undefined) return undefined;
  if (Array.isArray(value) && value.every((item): item is string => typeof item === 'string')) return value;
  throw malformed(key, 'an array of strings');
}

/** Integers; a long list is a typed array. */
export function readIntegers(metadata: Metadata, key: string): ArrayLike<number> | undefined {
  const value = metadata[key];
  if (value === undefined) return undefined;
  if (isIntegerArray(value)) return value;
  if (Array.isArray(value) && value.every((item): item is number => Number.isInteger(item))) return value;
  throw malformed(key, 'an array of integers');
}

/** Numbers, none of them NaN; a long list is a typed array. */
export function readNumbers(metadata: Metadata, key: string): (ArrayLike<number> & Iterable<number>) | undefined {
  const value = metadata[key];
  if (value === undefined) return undefined;
  const isList = Array.isArray(value) || isIntegerArray(value) || value instanceof Float32Array || value instanceof Float64Array;
  if (isList && isNumbers(value)) return value;
  throw malformed(key, 'an array of numbers');
}

type IntegerArray = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array;

function isIntegerArray(value: unknown): value is IntegerArray {
  const isView = ArrayBuffer.isView(value) && !(value instanceof DataView);
  const isFloat = value instanceof Float32Array || value instanceof Float64Array;
  return isView && !isFloat && !(value instanceof BigInt64Array) && !(value instanceof BigUint64Array);
}

function isNumbers(values: ArrayLike<unknown> & Iterable<unknown>): values is ArrayLike<number> & Iterable<number> {
  for (const value of values) if (typeof value !== 'number' || Number.isNaN(value)) return false;
  return true;
}

function malformed(key: string, expected: string): TabserveError {
  return new TabserveError('corrupt_model', `The model file's metadata ${key} is not ${expected}.`);
}
