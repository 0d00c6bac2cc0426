import { TabserveError } from '../core/errors.ts';

/** A file of known size that can be read anywhere, without ever being held whole in memory. */
export interface ByteSource {
  /** What to call it in messages: its URL or file name. */
  readonly id: string;
  /** Bytes. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset` on. They may be a view into a buffer that others see, and that is freed as reading
   * goes on: look at them before the next read, and do not write.
   * What is held in memory is `length` bytes plus a bounded amount, so read a large tensor in pieces.
   *
   * @throws TabserveError `internal` for a range outside the file, else what went wrong underneath
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

/** A `File` or `Blob`, read piece by piece. */
export function blobSource(file: Blob, id: string): ByteSource {
  const { size } = file;
  return {
    id,
    size,
    async read(offset, length) {
      checkRange(id, size, offset, length);
      try {
        return new Uint8Array(await file.slice(offset, offset + length).arrayBuffer());
      } catch (cause) {
        // A File is a reference: the browser refuses once the file on disk was changed, moved or deleted.
        const why = 'it may have been changed, moved or deleted since it was chosen; choose it again';
        throw new TabserveError('storage_failed', `Could not read ${id}: ${why}.`, { cause });
      }
    },
  };
}
