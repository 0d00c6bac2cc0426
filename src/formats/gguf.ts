import { TabserveError } from '../core/errors.ts';
import { TimeSlice } from '../core/cooperative-task.ts';
import type { ByteSource } from '../core/byte-source.ts';
import { clip, GgufCursor } from './gguf-cursor.ts';
import { MAX_METADATA, readMetadata, whole } from './gguf-metadata.ts';
import type { GgufMetadata, Parser } from './gguf-metadata.ts';
import { MAX_TENSORS, MIN_TENSOR_BYTES, placeTensors, readTensors } from './gguf-tensors.ts';
import type { TensorInfo } from './gguf-tensors.ts';

export type { TensorInfo } from './gguf-tensors.ts';
export type { GgufMetadata, GgufValue, NumberArray } from './gguf-metadata.ts';

/** A parsed model file: its metadata and the positions of its tensors. */
export interface ModelFile {
  readonly metadata: GgufMetadata;
  /** In file order. */
  readonly tensors: readonly TensorInfo[];
  readonly source: ByteSource;
}

/** One read of this size covers most headers (49,152 tokens and their merges: 1.8 MB). */
const FIRST_WINDOW = 4 * 1024 * 1024;
/** The limit of a header, which is held in memory; the largest known vocabularies (262,144 tokens) take 16 MB. */
const MAX_HEADER_BYTES = 64 * 1024 * 1024;
const DEFAULT_ALIGNMENT = 32;
const MAX_ALIGNMENT = 1024 * 1024;
/** Bytes of the shortest metadata record: empty key, type, one byte. */
const MIN_METADATA_BYTES = 8 + 4 + 1;

/**
 * Reads the header of a GGUF file, version 2 or 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
 *
 * This is our own parser because a header is untrusted input: each length is checked against the file's size before
 * use, a truncated header is an error that names the byte, and a vocabulary's strings are exact. Memory is bounded. The
 * parser yields to the event loop, because the same worker serves every tab.
 *
 * @throws TabserveError `unsupported_model` for files other than GGUF, other versions, and one shard of several;
 *   `corrupt_model`, naming the value and its offset, for a header that contradicts itself or the file's size
 */
export async function readModelFile(source: ByteSource): Promise<ModelFile> {
  const window = await source.read(0, Math.min(FIRST_WINDOW, source.size));
  checkMagic(window, source.id);
  // A copy, because the source may free its own buffer at the next read.
  const cursor = new GgufCursor(window.slice(), source.id, source.size);
  const parser = parseHeader(cursor, source);
  const slice = new TimeSlice();
  for (;;) {
    const step = parser.next();
    if (step.done === true) return { ...step.value, source };
    if (step.value !== undefined) await extendWindow(cursor, source, step.value);
    else if (slice.isOver) await slice.next();
  }
}

/** Extends the window to `neededBytes` of the file or more. */
async function extendWindow(cursor: GgufCursor, source: ByteSource, neededBytes: number): Promise<void> {
  if (neededBytes > MAX_HEADER_BYTES) {
    const message = `the header runs to ${neededBytes} bytes; tabserve reads up to ${MAX_HEADER_BYTES}`;
    throw new TabserveError('corrupt_model', `${source.id}: ${message}.`);
  }
  const { windowBytes } = cursor;
  const end = Math.min(Math.max(2 * windowBytes, neededBytes), source.size, MAX_HEADER_BYTES);
  cursor.extend(await source.read(windowBytes, end - windowBytes));
}

function* parseHeader(cursor: GgufCursor, source: ByteSource): Parser<Omit<ModelFile, 'source'>> {
  const { tensorCount, metadataCount } = yield* whole(cursor, () => readCounts(cursor));
  const metadata = yield* readMetadata(cursor, metadataCount);
  const shards = metadata['split.count'];
  if (typeof shards === 'number' && shards > 1) {
    const remedy = 'tabserve reads models in one file (merge them with llama-gguf-split --merge)';
    throw new TabserveError('unsupported_model', `${source.id} is one of ${shards} shards; ${remedy}.`);
  }
  const alignment = metadata['general.alignment'] ?? DEFAULT_ALIGNMENT;
  if (typeof alignment !== 'number' || !isPowerOfTwo(alignment) || alignment > MAX_ALIGNMENT) {
    throw cursor.corrupt(`general.alignment is ${clip(String(alignment))}, not a power of two up to ${MAX_ALIGNMENT}`);
  }
  const tensors = yield* readTensors(cursor, tensorCount);
  const dataOffset = Math.ceil(cursor.offset / alignment) * alignment;
  return { metadata, tensors: placeTensors(tensors, dataOffset, alignment, source) };
}

/** The fixed part. Refuses counts for which the file has no room, or that no model has. */
function readCounts(cursor: GgufCursor): { readonly tensorCount: number; readonly metadataCount: number } {
  cursor.u32('the magic number');
  const version = cursor.u32('the version');
  if (version !== 2 && version !== 3) {
    const isBigEndian = version !== 0 && (version & 0xffff) === 0;
    const what = isBigEndian ? 'a big-endian GGUF file' : `GGUF version ${version}`;
    const reads = 'tabserve reads little-endian versions 2 and 3';
    throw new TabserveError('unsupported_model', `${cursor.fileId} is ${what}; ${reads}.`);
  }
  const most = (limit: number, bytes: number): number => Math.min(limit, Math.floor(cursor.fileSize / bytes));
  const tensorCount = cursor.count('the tensor count', most(MAX_TENSORS, MIN_TENSOR_BYTES));
  const metadataCount = cursor.count('the metadata count', most(MAX_METADATA, MIN_METADATA_BYTES));
  return { tensorCount, metadataCount };
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && Number.isInteger(Math.log2(value));
}

/** Refuses a file that is not GGUF, and says what it is where that is easy to see: the usual cause is a wrong link. */
export function checkMagic(window: Uint8Array, id: string): void {
  const start = new TextDecoder('latin1').decode(window.subarray(0, 64));
  if (start.startsWith('GGUF')) return;
  let guess = '';
  if (/^\s*</.test(start)) guess = ': it is a web page (is this the link of the file itself?)';
  else if (start.startsWith('version https://git-lfs')) guess = ': it is a Git LFS pointer, not the file it points to';
  else if (start.slice(8, 10) === '{"') guess = ': it looks like a safetensors file';
  else if (start === '') guess = ': it is empty';
  throw new TabserveError('unsupported_model', `${id} is not a GGUF file${guess}.`);
}
