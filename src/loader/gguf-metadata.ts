import { TabserveError } from '../core/errors.ts';
import type { GgufCursor } from './gguf-cursor.ts';

/** A metadata value. 64-bit integers are numbers where a number holds them exactly, else bigints. */
export type GgufValue = string | number | bigint | boolean | readonly GgufValue[];

/** A file's metadata by key. */
export type GgufMetadata = Readonly<Record<string, GgufValue>>;

const STRING = 8;
const ARRAY = 9;
/** Bytes of a value by type id; a string's and an array's are the least they can have. */
const MIN_VALUE_BYTES = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8];
/** Arrays inside arrays: the format has them, no known model needs them. */
const MAX_ARRAY_DEPTH = 4;

/** Reads `count` key-value pairs. */
export function readMetadata(cursor: GgufCursor, count: number): GgufMetadata {
  // No prototype, so that a key named `__proto__` is a key like any other.
  const metadata = Object.create(null) as Record<string, GgufValue>;
  for (let index = 0; index < count; index++) {
    const key = cursor.string(`metadata key ${index}`);
    if (key in metadata) throw cursor.corrupt(`metadata key '${key}' occurs twice`);
    const type = cursor.u32(`the type of metadata '${key}'`);
    metadata[key] = readValue(cursor, type, `metadata '${key}'`, 0);
  }
  return metadata;
}

function readValue(cursor: GgufCursor, type: number, what: string, depth: number): GgufValue {
  switch (type) {
    case 0:
      return cursor.u8(what);
    case 1:
      return cursor.i8(what);
    case 2:
      return cursor.u16(what);
    case 3:
      return cursor.i16(what);
    case 4:
      return cursor.u32(what);
    case 5:
      return cursor.i32(what);
    case 6:
      return cursor.f32(what);
    case 7:
      return cursor.u8(what) !== 0;
    case STRING:
      return cursor.string(what);
    case ARRAY:
      return readArray(cursor, what, depth);
    case 10:
      return exact(cursor.u64(what));
    case 11:
      return exact(cursor.i64(what));
    case 12:
      return cursor.f64(what);
    default:
      throw cursor.corrupt(`${what} has the unknown value type ${type}`);
  }
}

function readArray(cursor: GgufCursor, what: string, depth: number): readonly GgufValue[] {
  if (depth >= MAX_ARRAY_DEPTH) throw cursor.corrupt(`${what} nests arrays deeper than ${MAX_ARRAY_DEPTH}`);
  const type = cursor.u32(`the element type of ${what}`);
  const minBytes = MIN_VALUE_BYTES[type];
  if (minBytes === undefined) throw cursor.corrupt(`${what} has the unknown element type ${type}`);
  // An array is no longer than the file that holds it, so a forged length cannot make us allocate for it.
  const length = cursor.count(`the length of ${what}`, Math.floor(cursor.remaining / minBytes));
  const values: GgufValue[] = [];
  for (let index = 0; index < length; index++) values.push(readValue(cursor, type, what, depth + 1));
  return values;
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** A value the model cannot do without. The getters below give it its type. */
function required(metadata: GgufMetadata, key: string): GgufValue {
  const value = metadata[key];
  if (value === undefined) {
    throw new TabserveError('unsupported_model', `The model file has no metadata '${key}', which tabserve needs.`);
  }
  return value;
}

function wrongType(key: string, value: GgufValue, wanted: string): TabserveError {
  const got = Array.isArray(value) ? `an array of ${value.length}` : `the ${typeof value} ${String(value)}`;
  return new TabserveError('corrupt_model', `The model file's metadata '${key}' is ${got}, not ${wanted}.`);
}

/**
 * The string at `key`; `fallback`, where given, stands in for a missing key (in all getters here).
 *
 * @throws TabserveError `unsupported_model` where the key is missing, `corrupt_model` where it holds another type
 */
export function getString(metadata: GgufMetadata, key: string, fallback?: string): string {
  const value = fallback === undefined ? required(metadata, key) : (metadata[key] ?? fallback);
  if (typeof value !== 'string') throw wrongType(key, value, 'a string');
  return value;
}

/** The number at `key`. */
export function getNumber(metadata: GgufMetadata, key: string, fallback?: number): number {
  const value = fallback === undefined ? required(metadata, key) : (metadata[key] ?? fallback);
  if (typeof value !== 'number') throw wrongType(key, value, 'a number');
  return value;
}

/** The array of strings at `key`. */
export function getStrings(metadata: GgufMetadata, key: string, fallback?: readonly string[]): readonly string[] {
  const value = fallback === undefined ? required(metadata, key) : (metadata[key] ?? fallback);
  const isStrings = (v: GgufValue): v is readonly string[] => Array.isArray(v) && v.every((e) => typeof e === 'string');
  if (!isStrings(value)) throw wrongType(key, value, 'an array of strings');
  return value;
}

/** The array of numbers at `key`. */
export function getNumbers(metadata: GgufMetadata, key: string, fallback?: readonly number[]): readonly number[] {
  const value = fallback === undefined ? required(metadata, key) : (metadata[key] ?? fallback);
  const isNumbers = (v: GgufValue): v is readonly number[] => Array.isArray(v) && v.every((e) => typeof e === 'number');
  if (!isNumbers(value)) throw wrongType(key, value, 'an array of numbers');
  return value;
}
