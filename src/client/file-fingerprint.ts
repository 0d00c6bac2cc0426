import { fileLost } from '../core/file-lost.ts';

const MIB = 1024 * 1024;
/** Read whole: the header, vocabulary and chat template included, of almost any model. */
const HEAD_BYTES = 16 * MIB;
/** Places in the tensors that are looked at: one each MiB, in files of over half a gigabyte fewer. */
const MAX_SAMPLES = 512;
const SAMPLE_BYTES = 4096;

/**
 * A fingerprint that distinguishes a file from others of the same name, size and date: the SHA-256 of its size, its
 * first 16 MiB, and 4 KiB at up to 512 places spread evenly over the rest. Two checkpoints, merges or quantisations of
 * one model differ nearly everywhere, and so in these samples. A file that was changed only in a few places between
 * them is not distinguished. Undefined where nothing can be hashed.
 *
 * @throws TabserveError `model_not_found` where the file can not be read any more
 */
export async function fileFingerprint(file: File): Promise<string | undefined> {
  const subtle = (globalThis.crypto as Partial<Crypto> | undefined)?.subtle;
  if (subtle === undefined) return undefined;
  // One blob of them all is one read.
  const seen = new Blob([`${file.size}\n`, ...sampledRanges(file.size).map(([start, end]) => file.slice(start, end))]);
  const bytes = await seen.arrayBuffer().catch((cause: unknown) => {
    throw fileLost(file.name, cause);
  });
  const digest = new Uint8Array(await subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The sampled ranges of a file of `size` bytes, in order and without overlap. */
export function sampledRanges(size: number): readonly (readonly [start: number, end: number])[] {
  const head = Math.min(size, HEAD_BYTES);
  const stride = Math.max(MIB, Math.ceil((size - head) / MAX_SAMPLES));
  const ranges: [number, number][] = [[0, head]];
  for (let start = head; start < size; start += stride) ranges.push([start, Math.min(size, start + SAMPLE_BYTES)]);
  return ranges;
}
