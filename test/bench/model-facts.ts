import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { type ModelFile, readModelFile } from '../../src/loader/gguf.ts';
import { packedFormatOf, packedWords, scaleWords } from '../../src/loader/repack.ts';
import { readModelConfig } from '../../src/models/architectures.ts';
import type { ModelFacts } from './report.mjs';

/** Bytes that a decode step reads, and multiply-adds of a token, of a model's matrices as they are on the GPU. */
export type ModelWork = Pick<ModelFacts, 'weightBytes' | 'bodyMacs' | 'headMacs'>;

/**
 * What a model's file is, and what its steps have to do at least.
 *
 * @param isSoftware whether the adapter is: scales of 4-bit weights are wider there
 * @throws TabserveError `unsupported_model`, `corrupt_model`
 */
export async function readModelFacts(path: string, isSoftware: boolean): Promise<Omit<ModelFacts, 'isStandIn'>> {
  const { size } = await stat(path);
  const handle = await open(path);
  try {
    const read = async (offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> => {
      const bytes = new Uint8Array(length);
      await handle.read(bytes, 0, length, offset);
      return bytes;
    };
    const file = await readModelFile({ id: path, size, read });
    const { name } = readModelConfig(file);
    return { name, file: basename(path), bytes: size, sha256: await sha256(path), ...workOf(file, isSoftware) };
  } finally {
    await handle.close();
  }
}

export function workOf(file: ModelFile, isSoftware: boolean): ModelWork {
  const { tiedEmbeddings } = readModelConfig(file);
  const head = tiedEmbeddings ? 'token_embd.weight' : 'output.weight';
  const work = { weightBytes: 0, bodyMacs: 0, headMacs: 0 };
  for (const { name, type, shape: [rows = 0, columns = 0] } of file.tensors) {
    const format = packedFormatOf(type);
    // An embedding that is no head is looked up, a row a token.
    if (format === undefined || (name === 'token_embd.weight' && name !== head)) continue;
    const scaleBytes = format === 'int4' && isSoftware ? 8 : 4;
    work.weightBytes += packedWords(format, rows, columns) * 4 + scaleWords(rows, columns) * scaleBytes;
    work[name === head ? 'headMacs' : 'bodyMacs'] += rows * columns;
  }
  return work;
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}
