import { TabserveError } from '../core/errors.ts';
import { clip, type GgufCursor, WindowTooShort } from './gguf-cursor.ts';

/** A long list of numbers, as compact as in the file. */
export type NumberArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array;

/**
 * A metadata value. 64-bit integers are numbers where a number holds them exactly, else bigints. More than
 * {@link SHORT_ARRAY} numbers are a typed array.
 */
export type GgufValue = string | number | bigint | boolean | readonly GgufValue[] | NumberArray;

/** A file's metadata by key. */
export type GgufMetadata = Readonly<Record<string, GgufValue>>;

/**
 * A resumable parser. It yields the number of bytes of the file that it needs at least, or undefined where it may be
 * paused.
 */
export type Parser<T> = Generator<number | undefined, T, undefined>;

const STRING = 8;
const ARRAY = 9;
/** Bytes of a value by type id; for a string and an array, the minimum. */
const MIN_VALUE_BYTES = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8];
/** Nested arrays: the format allows them, and no known model has them. */
const MAX_ARRAY_DEPTH = 4;
/** Known models have about fifty entries. */
export const MAX_METADATA = 16_384;
/** The format's own limit, in bytes. */
const MAX_KEY_BYTES = 65_535;
/** An array of more numbers than this is a typed array. */
export const SHORT_ARRAY = 1024;
/** The most memory that an entry or an element takes beside its content. */
const ENTRY_BYTES = 128;
const ELEMENT_BYTES = 8;
const ARRAY_BYTES = 64;
/** Elements read between two pauses. */
const RUN = 4096;
/** The most numbers that are converted to a plain array. */
const MAX_NUMBERS = 1024 * 1024;

const TYPED_ARRAYS: Readonly<Record<number, new (buffer: ArrayBuffer) => NumberArray>> = {
  0: Uint8Array,
  1: Int8Array,
  2: Uint16Array,
  3: Int16Array,
  4: Uint32Array,
  5: Int32Array,
  6: Float32Array,
  10: BigUint64Array,
  11: BigInt64Array,
  12: Float64Array,
};

/** Reads `count` key-value pairs. */
export function* readMetadata(cursor: GgufCursor, count: number): Parser<GgufMetadata> {
  // No prototype, so that `__proto__` is a key like any other.
  const metadata = Object.create(null) as Record<string, GgufValue>;
  for (let index = 0; index < count; index++) {
    cursor.make(ENTRY_BYTES);
    const key = yield* whole(cursor, () => cursor.string(`metadata key ${index}`, MAX_KEY_BYTES));
    const what = `metadata '${clip(key)}'`;
    if (key in metadata) throw cursor.corrupt(`${what} occurs twice`);
    const type = yield* whole(cursor, () => cursor.u32(`the type of ${what}`));
    metadata[key] = type === ARRAY ? yield* readArray(cursor, what, 0) : yield* whole(cursor, () => readValue(cursor, type, what));
  }
  return metadata;
}

/** Reads one value; where the window cuts it, reads it again from its start. */
export function* whole<T>(cursor: GgufCursor, read: () => T): Parser<T> {
  const start = cursor.offset;
  for (;;) {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof WindowTooShort)) throw error;
      cursor.goBackTo(start);
      yield error.neededBytes;
    }
  }
}

function readValue(cursor: GgufCursor, type: number, what: string): Exclude<GgufValue, readonly GgufValue[] | NumberArray> {
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

function* readArray(cursor: GgufCursor, what: string, depth: number): Parser<readonly GgufValue[] | NumberArray> {
  if (depth >= MAX_ARRAY_DEPTH) throw cursor.corrupt(`${what} nests arrays deeper than ${MAX_ARRAY_DEPTH}`);
  const type = yield* whole(cursor, () => cursor.u32(`the element type of ${what}`));
  const bytes = MIN_VALUE_BYTES[type];
  if (bytes === undefined) throw cursor.corrupt(`${what} has the unknown element type ${type}`);
  const length = yield* whole(cursor, () => {
    // An array is no longer than its file, so a forged length cannot make this allocate more.
    const limit = Math.floor((cursor.remaining - 8) / bytes);
    return cursor.count(`the length of ${what}`, limit);
  });
  cursor.make(ARRAY_BYTES);
  const Typed = TYPED_ARRAYS[type];
  if (Typed !== undefined && length > SHORT_ARRAY) {
    return new Typed(yield* whole(cursor, () => cursor.copy(length * bytes, what)));
  }
  const values: GgufValue[] = [];
  while (values.length < length) {
    const wanted = Math.min(RUN, length - values.length);
    cursor.make(wanted * ELEMENT_BYTES);
    if (type === ARRAY) for (let i = 0; i < wanted; i++) values.push(yield* readArray(cursor, what, depth + 1));
    else yield* readRun(cursor, type, what, values, wanted);
    if (wanted === RUN) yield undefined;
  }
  return values;
}

/** The next elements of an array. One that the window cuts is read again. */
function* readRun(cursor: GgufCursor, type: number, what: string, values: GgufValue[], wanted: number): Parser<void> {
  const end = values.length + wanted;
  while (values.length < end) {
    let start = cursor.offset;
    try {
      for (; values.length < end; start = cursor.offset) values.push(readValue(cursor, type, what));
    } catch (error) {
      if (!(error instanceof WindowTooShort)) throw error;
      cursor.goBackTo(start);
      yield error.neededBytes;
    }
  }
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** A value that the model requires. The getters below check its type. */
function required(metadata: GgufMetadata, key: string): GgufValue {
  const value = metadata[key];
  if (value === undefined) {
    throw new TabserveError('unsupported_model', `The model file has no metadata '${key}', which tabserve needs.`);
  }
  return value;
}

function wrongType(key: string, value: GgufValue, wanted: string): TabserveError {
  const isList = Array.isArray(value) || ArrayBuffer.isView(value);
  const got = isList ? `an array of ${value.length}` : `the ${typeof value} ${clip(String(value))}`;
  return new TabserveError('corrupt_model', `The model file's metadata '${key}' is ${got}, not ${wanted}.`);
}

/**
 * The string at `key`. In all getters here, `fallback` replaces a missing key.
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

/** The array of numbers at `key`; refused above a million numbers. */
export function getNumbers(metadata: GgufMetadata, key: string, fallback?: readonly number[]): readonly number[] {
  const value = fallback === undefined ? required(metadata, key) : (metadata[key] ?? fallback);
  const isList = (v: GgufValue): v is readonly GgufValue[] | NumberArray => Array.isArray(v) || ArrayBuffer.isView(v);
  const list = isList(value) && value.length <= MAX_NUMBERS ? Array.from<GgufValue>(value) : undefined;
  const isNumbers = (v: readonly GgufValue[]): v is readonly number[] => v.every((e) => typeof e === 'number');
  if (list === undefined || !isNumbers(list)) throw wrongType(key, value, 'an array of numbers');
  return list;
}
