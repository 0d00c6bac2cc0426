import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { readModelFile } from '../../src/formats/gguf.ts';
import { readModelConfig } from '../../src/models/architectures.ts';
import { StepWork } from '../../demo/bench/models/step-work.ts';
import type { ModelFacts } from './report.mjs';

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
    const config = readModelConfig(file);
    const { weightBytes, bodyMacs, headMacs } = new StepWork(file, config, isSoftware);
    const facts = { name: config.name, file: basename(path), bytes: size, sha256: await sha256(path) };
    return { ...facts, weightBytes, bodyMacs, headMacs };
  } finally {
    await handle.close();
  }
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}
