import { expose } from 'comlink';
import { readModelFile } from '../../src/formats/gguf.ts';
import { openSource } from '../../src/download/open-source.ts';

/** What the loader asks for at once. */
const SLICE_BYTES = 2 ** 20;

/** Milliseconds of reading a stored model as its loader does, and doing nothing with it. */
async function timeReading(modelUrl: string): Promise<number> {
  const start = performance.now();
  const ignore = (): void => {};
  const source = await openSource(modelUrl, { baseUrl: modelUrl, onProgress: ignore, log: ignore });
  const { tensors } = await readModelFile(source);
  for (const { offset, byteLength } of tensors) {
    for (let at = 0; at < byteLength; at += SLICE_BYTES) {
      await source.read(offset + at, Math.min(SLICE_BYTES, byteLength - at));
    }
  }
  return performance.now() - start;
}

const api = { timeReading };
export type ReadBench = typeof api;
expose(api);
