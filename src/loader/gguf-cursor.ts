import { TabserveError } from '../core/errors.ts';

/** Thrown inside the parser where the window ends before the file does: fetch more and parse again. */
export class WindowTooShort extends Error {
  /** How many bytes from the file's start are needed at least. */
  readonly neededBytes: number;

  constructor(neededBytes: number) {
    super(`${neededBytes} bytes needed`);
    this.neededBytes = neededBytes;
  }
}

// A byte-order mark is part of a token's text, so it must not be eaten.
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Reads little-endian values one after another from the first bytes of a file. */
export class GgufCursor {
  readonly fileId: string;
  readonly fileSize: number;
  #offset = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  /** @param window the file's first bytes, as many as have been read so far */
  constructor(window: Uint8Array, fileId: string, fileSize: number) {
    this.fileId = fileId;
    this.fileSize = fileSize;
    this.#bytes = window;
    this.#view = new DataView(window.buffer, window.byteOffset, window.byteLength);
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes between here and the end of the file. */
  get remaining(): number {
    return this.fileSize - this.#offset;
  }

  /** Steps over `length` bytes and returns where they begin. `what` names them in the error. */
  #take(length: number, what: string): number {
    const start = this.#offset;
    const end = start + length;
    if (end > this.fileSize) {
      throw this.corrupt(`${what} (${length} bytes) runs past the end of the file (${this.fileSize} bytes)`);
    }
    if (end > this.#bytes.byteLength) throw new WindowTooShort(end);
    this.#offset = end;
    return start;
  }

  u8(what: string): number {
    return this.#view.getUint8(this.#take(1, what));
  }

  i8(what: string): number {
    return this.#view.getInt8(this.#take(1, what));
  }

  u16(what: string): number {
    return this.#view.getUint16(this.#take(2, what), true);
  }

  i16(what: string): number {
    return this.#view.getInt16(this.#take(2, what), true);
  }

  u32(what: string): number {
    return this.#view.getUint32(this.#take(4, what), true);
  }

  i32(what: string): number {
    return this.#view.getInt32(this.#take(4, what), true);
  }

  f32(what: string): number {
    return this.#view.getFloat32(this.#take(4, what), true);
  }

  f64(what: string): number {
    return this.#view.getFloat64(this.#take(8, what), true);
  }

  u64(what: string): bigint {
    return this.#view.getBigUint64(this.#take(8, what), true);
  }

  i64(what: string): bigint {
    return this.#view.getBigInt64(this.#take(8, what), true);
  }

  /** A 64-bit count, length or offset, at most `limit`. */
  count(what: string, limit: number): number {
    const value = this.u64(what);
    if (value > BigInt(limit)) throw this.corrupt(`${what} is ${value}, over the limit of ${limit}`);
    return Number(value);
  }

  /** A length-prefixed UTF-8 string; malformed sequences become U+FFFD. */
  string(what: string): string {
    const length = this.count(`the length of ${what}`, Number.MAX_SAFE_INTEGER);
    const start = this.#take(length, what);
    return utf8.decode(this.#bytes.subarray(start, start + length));
  }

  /** An error that says in which file and where. */
  corrupt(message: string): TabserveError {
    return new TabserveError('corrupt_model', `${this.fileId}: ${message}, at byte ${this.#offset}.`);
  }
}
