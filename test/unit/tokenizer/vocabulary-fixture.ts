import fs from 'node:fs';
import zlib from 'node:zlib';
import { blobSource } from '../../../src/core/byte-source.ts';
import { readModelFile } from '../../../src/formats/gguf.ts';
import type { Metadata } from '../../../src/tokenizer/metadata.ts';
import type { Tokenizer } from '../../../src/tokenizer/tokenizer.ts';

/** A tokenizer's metadata out of test/fixtures, read as the loader reads a model's. */
export function fixtureMetadata(name: 'gpt-2' | 'phi-3' | 'qwen'): Promise<Metadata> {
  const packed = fs.readFileSync(new URL(`../../fixtures/${name}-vocabulary.gguf.gz`, import.meta.url));
  return ggufMetadata(new Uint8Array(zlib.gunzipSync(packed)));
}

export async function ggufMetadata(file: Uint8Array<ArrayBuffer>): Promise<Metadata> {
  const { metadata } = await readModelFile(blobSource(new Blob([file]), 'vocabulary.gguf'));
  return metadata;
}

/** The text of the ids, as a stream would show it. */
export function decode(tokenizer: Tokenizer, ids: readonly number[]): string {
  const detokenizer = tokenizer.createDetokenizer();
  return ids.map((id) => detokenizer.decode(id)).join('') + detokenizer.flush();
}
