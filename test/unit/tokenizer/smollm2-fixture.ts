import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import zlib from 'node:zlib';
import { gguf } from '@huggingface/gguf';
import type { Metadata } from '../../../src/tokenizer/metadata.ts';

/** SmolLM2-135M-Instruct's own tokenizer metadata (Apache-2.0; see test/fixtures/README.md). */
export async function smolLm2Metadata(): Promise<Metadata> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tabserve-'));
  try {
    const file = path.join(folder, 'vocabulary.gguf');
    const packed = fs.readFileSync(new URL('../../fixtures/smollm2-vocabulary.gguf.gz', import.meta.url));
    fs.writeFileSync(file, zlib.gunzipSync(packed));
    const { metadata } = await gguf(file, { allowLocalFile: true });
    return metadata as unknown as Metadata;
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}
