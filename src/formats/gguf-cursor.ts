import { TabserveError } from '../core/errors.ts';

/**
 * Thrown inside the parser where the window ends before the file does: the reader fetches more and parses the value
 * again.
 */
export class WindowTooShort extends Error {
  /** The number of bytes from the file's start that are needed at least. */
  readonly neededBytes: number;

  constructor(neededBytes: number) {
    super(`${neededBytes} bytes needed`);
    this.neededBytes = neededBytes;
  }
}

// A byte-order mark is part of a token's text and must be kept.
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * The most memory that a header may take, in bytes. By this count the largest known header, with 262,144 tokens and
 * 514,906 merges, takes 45 MB. A file of a hundred million empty arrays would take gigabytes.
 */
const MAX_MADE_BYTES = 128 * 1024 * 1024;
/** The most that a string takes beside its characters. */
const STRING_BYTES = 32;
/** Characters of a name that an error message shows. */
const CLIPPED = 64;

/** Reads little-endian values, one after another, from the first bytes of a file. */
export class GgufCursor {
  readonly fileId: string;
  readonly fileSize: number;
  #offset = 0;
  #madeBytes = 0;
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;

  /** @param window the file's first bytes, as many as have been read so far */
  constructor(window: Uint8Array<ArrayBuffer>, fileId: string, fileSize: number) {
    this.fileId = fileId;
    this.fileSize = fileSize;
    this.#bytes = window;
    this.#view = new DataView(window.buffer, window.byteOffset, window.byteLength);
  }

  /** The position of the next byte to read. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes of the file that have been read into the window. */
  get windowBytes(): number {
    return this.#bytes.byteLength;
  }

  /** Appends the bytes that follow the window's last. */
  extend(bytes: Uint8Array): void {
    const window = new Uint8Array(this.#bytes.byteLength + bytes.byteLength);
    window.set(this.#bytes);
    window.set(bytes, this.#bytes.byteLength);
    this.#bytes = window;
    this.#view = new DataView(window.buffer);
  }

  /** Goes back to the start of a value that the window cut. */
  goBackTo(offset: number): void {
    this.#offset = offset;
  }

  /**
   * Counts memory that is about to be allocated for the header.
   *
   * @throws TabserveError `corrupt_model` where the sum exceeds that of any known model's header
   */
  make(bytes: number): void {
    this.#madeBytes += bytes;
    if (this.#madeBytes <= MAX_MADE_BYTES) return;
    throw this.corrupt(`the header would take more than ${MAX_MADE_BYTES} bytes of memory`);
  }

  /** Bytes between here and the end of the file. */
  get remaining(): number {
    return this.fileSize - this.#offset;
  }

  /** Steps over `length` bytes and returns their offset. `what` names them in the error. */
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
  count(what: string, limit: number, is = 'is'): number {
    const start = this.#take(8, what);
    const value = this.#view.getUint32(start + 4, true) * 2 ** 32 + this.#view.getUint32(start, true);
    if (value > limit) {
      throw this.corrupt(`${what} ${is} ${this.#view.getBigUint64(start, true)}, over the limit of ${limit}`);
    }
    return value;
  }

  /** A length-prefixed UTF-8 string of at most `limit` bytes; malformed sequences become U+FFFD. */
  string(what: string, limit = Number.MAX_SAFE_INTEGER): string {
    const length = this.count(what, limit, 'has the length');
    const start = this.#take(length, what);
    this.make(STRING_BYTES + 2 * length);
    return this.#ascii(start, length) ?? utf8.decode(this.#bytes.subarray(start, start + length));
  }

  /** Decodes short ASCII strings, which most tokens are, without the overhead of a TextDecoder. */
  #ascii(start: number, length: number): string | undefined {
    if (length > 16) return undefined;
    let text = '';
    for (let at = start; at < start + length; at++) {
      const byte = this.#bytes[at] ?? 0;
      if (byte >= 0x80) return undefined;
      text += String.fromCharCode(byte);
    }
    return text;
  }

  /** A copy of the next `length` bytes. */
  copy(length: number, what: string): ArrayBuffer {
    const start = this.#take(length, what);
    this.make(length);
    return this.#bytes.slice(start, start + length).buffer;
  }

  /** An error that names the file and the offset. */
  corrupt(message: string): TabserveError {
    return new TabserveError('corrupt_model', `${this.fileId}: ${message}, at byte ${this.#offset}.`);
  }
}

/** A name from a file, clipped for messages. */
export function clip(name: string): string {
  return name.length > CLIPPED ? `${name.slice(0, CLIPPED)}...` : name;
}
