import { TabserveError } from '../core/errors.ts';
import type { ByteSource } from './byte-source.ts';
import { GgufCursor, WindowTooShort } from './gguf-cursor.ts';
import { readMetadata } from './gguf-metadata.ts';
import type { GgufMetadata } from './gguf-metadata.ts';
import { MIN_TENSOR_BYTES, placeTensors, readTensors } from './gguf-tensors.ts';
import type { TensorInfo } from './gguf-tensors.ts';

export type { TensorInfo } from './gguf-tensors.ts';
export type { GgufMetadata, GgufValue } from './gguf-metadata.ts';

/** A model file: what it says of itself, and where its tensors lie. */
export interface ModelFile {
  readonly metadata: GgufMetadata;
  /** In file order. */
  readonly tensors: readonly TensorInfo[];
  readonly source: ByteSource;
}

/** Most headers (49,152 tokens and their merges: 1.8 MB) come with one read. */
const FIRST_WINDOW = 4 * 1024 * 1024;
/** The header is held in memory; the largest known vocabularies (262,144 tokens) take 16 MB. */
const MAX_HEADER_BYTES = 128 * 1024 * 1024;
const DEFAULT_ALIGNMENT = 32;
const MAX_ALIGNMENT = 1024 * 1024;
/** Bytes of the shortest metadata record: empty key, type, one byte. */
const MIN_METADATA_BYTES = 8 + 4 + 1;

/**
 * Reads the header of a GGUF file, version 2 or 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
 *
 * Own code, because a header is untrusted input: each length is held against the file's size before it is believed, a
 * header cut short is an error at a byte, and a vocabulary's strings come through to the byte.
 *
 * @throws TabserveError `unsupported_model` for what is not GGUF, another version, or one shard of several;
 *   `corrupt_model`, naming what and where, for a header that contradicts itself or the file's size
 */
export async function readModelFile(source: ByteSource): Promise<ModelFile> {
  let windowBytes = Math.min(FIRST_WINDOW, source.size);
  for (;;) {
    const window = await source.read(0, windowBytes);
    try {
      return { ...parseHeader(new GgufCursor(window, source.id, source.size), window, source), source };
    } catch (error) {
      if (!(error instanceof WindowTooShort)) throw error;
      if (error.neededBytes > MAX_HEADER_BYTES) {
        const message = `the header runs to ${error.neededBytes} bytes; tabserve reads up to ${MAX_HEADER_BYTES}`;
        throw new TabserveError('corrupt_model', `${source.id}: ${message}.`);
      }
      windowBytes = Math.min(Math.max(2 * windowBytes, error.neededBytes), source.size, MAX_HEADER_BYTES);
    }
  }
}

function parseHeader(cursor: GgufCursor, window: Uint8Array, source: ByteSource): Omit<ModelFile, 'source'> {
  checkMagic(window, source.id);
  cursor.u32('the magic number');
  const version = cursor.u32('the version');
  if (version !== 2 && version !== 3) {
    const isBigEndian = version !== 0 && (version & 0xffff) === 0;
    const what = isBigEndian ? 'a big-endian GGUF file' : `GGUF version ${version}`;
    const reads = 'tabserve reads little-endian versions 2 and 3';
    throw new TabserveError('unsupported_model', `${source.id} is ${what}; ${reads}.`);
  }
  const tensorCount = cursor.count('the tensor count', Math.floor(source.size / MIN_TENSOR_BYTES));
  const metadataCount = cursor.count('the metadata count', Math.floor(source.size / MIN_METADATA_BYTES));
  const metadata = readMetadata(cursor, metadataCount);
  const shards = metadata['split.count'];
  if (typeof shards === 'number' && shards > 1) {
    const remedy = 'tabserve reads models in one file (merge them with llama-gguf-split --merge)';
    throw new TabserveError('unsupported_model', `${source.id} is one of ${shards} shards; ${remedy}.`);
  }
  const alignment = metadata['general.alignment'] ?? DEFAULT_ALIGNMENT;
  if (typeof alignment !== 'number' || !isPowerOfTwo(alignment) || alignment > MAX_ALIGNMENT) {
    throw cursor.corrupt(`general.alignment is ${String(alignment)}, not a power of two up to ${MAX_ALIGNMENT}`);
  }
  const tensors = readTensors(cursor, tensorCount);
  const dataOffset = Math.ceil(cursor.offset / alignment) * alignment;
  return { metadata, tensors: placeTensors(tensors, dataOffset, alignment, source) };
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && Number.isInteger(Math.log2(value));
}

/** Says what a file is that is not GGUF, where that is easy to see: the usual cause is a wrong link. */
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
