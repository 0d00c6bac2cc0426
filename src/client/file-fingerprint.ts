import { fileLost } from '../core/file-lost.ts';

const MIB = 1024 * 1024;
/** Read whole: the header, vocabulary and chat template included, of almost any model. */
const HEAD_BYTES = 16 * MIB;
/** Places in the tensors that are looked at: one each MiB, in files of over half a gigabyte fewer. A read takes about 1 ms. */
const MAX_SAMPLES = 512;
const SAMPLE_BYTES = 4096;
/** Reads under way at once. */
const BATCH = 64;

/**
 * What tells a file from others that have its name, size and date: the SHA-256 of its size, its first 16 MiB, and 4 KiB at
 * up to 512 places spread evenly over the rest. Two checkpoints, merges or quantisations of one model differ nearly
 * everywhere, and so in what is looked at. A file that was changed in a few places only, all of them in between, is not
 * told apart. Undefined where nothing can be hashed.
 *
 * @throws TabserveError `model_not_found` where the file can not be read any more
 */
export async function fileFingerprint(file: File): Promise<string | undefined> {
  const subtle = (globalThis.crypto as Partial<Crypto> | undefined)?.subtle;
  if (subtle === undefined) return undefined;
  const ranges = sampledRanges(file.size);
  const length = ranges.reduce((sum, [start, end]) => sum + end - start, 0);
  const seen = new Uint8Array(8 + length);
  new DataView(seen.buffer).setFloat64(0, file.size);
  let at = 8;
  for (let first = 0; first < ranges.length; first += BATCH) {
    const batch = ranges.slice(first, first + BATCH).map(([start, end]) => readRange(file, start, end));
    for (const bytes of await Promise.all(batch)) {
      seen.set(bytes, at);
      at += bytes.length;
    }
  }
  const digest = new Uint8Array(await subtle.digest('SHA-256', seen));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** What is looked at of a file of `size` bytes: from where to where, in order, without overlap. */
export function sampledRanges(size: number): readonly (readonly [start: number, end: number])[] {
  const head = Math.min(size, HEAD_BYTES);
  const stride = Math.max(MIB, Math.ceil((size - head) / MAX_SAMPLES));
  const ranges: [number, number][] = [[0, head]];
  for (let start = head; start < size; start += stride) ranges.push([start, Math.min(size, start + SAMPLE_BYTES)]);
  return ranges;
}

async function readRange(file: File, start: number, end: number): Promise<Uint8Array> {
  const buffer = await file.slice(start, end).arrayBuffer().catch((cause: unknown) => {
    throw fileLost(file.name, cause);
  });
  if (buffer.byteLength !== end - start) throw fileLost(file.name); // a file that was cut short
  return new Uint8Array(buffer);
}
