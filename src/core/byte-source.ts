import { TabserveError } from './errors.ts';
import { fileLost } from './file-lost.ts';

/** A file of known size that can be read anywhere, without ever being held whole in memory. */
export interface ByteSource {
  /** Its name in messages: its URL or file name. */
  readonly id: string;
  /** Bytes. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset` on. They may be a view into a shared buffer that is freed later: use them
   * before the next read, and do not write to them. A read holds `length` bytes plus a bounded amount in memory, so
   * read a large tensor in pieces.
   *
   * @throws TabserveError `internal` for a range outside the file, else the error of the read
   */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** Refuses a range that is not inside a file of `size` bytes. */
export function checkRange(id: string, size: number, offset: number, length: number): void {
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!valid || offset + length > size) {
    throw new TabserveError('internal', `Read of ${length} bytes at ${offset} is outside ${id} (${size} bytes).`);
  }
}

/** A `File` or `Blob`, read piece by piece; a read of one that is no more what was chosen throws `model_not_found`. */
export function blobSource(file: Blob, id: string): ByteSource {
  const { size } = file;
  return {
    id,
    size,
    async read(offset, length) {
      checkRange(id, size, offset, length);
      let bytes: Uint8Array<ArrayBuffer>;
      try {
        bytes = new Uint8Array(await file.slice(offset, offset + length).arrayBuffer());
      } catch (cause) {
        throw fileLost(id, cause);
      }
      if (bytes.length !== length) throw fileLost(id);
      return bytes;
    },
  };
}
