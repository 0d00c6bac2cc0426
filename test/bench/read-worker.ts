import { expose } from 'comlink';
import { readModelFile } from '../../src/loader/gguf.ts';
import { openSource } from '../../src/loader/open-source.ts';

/** What the loader asks for at once. */
const SLICE_BYTES = 2 ** 20;

/** Milliseconds of reading a stored model as its loader does, and doing nothing with it; and how many bytes that were. */
async function timeReading(modelUrl: string): Promise<{ readonly ms: number; readonly bytes: number }> {
  const start = performance.now();
  const ignore = (): void => {};
  const source = await openSource(modelUrl, { baseUrl: modelUrl, onProgress: ignore, log: ignore });
  const { tensors } = await readModelFile(source);
  for (const { offset, byteLength } of tensors) {
    for (let at = 0; at < byteLength; at += SLICE_BYTES) {
      await source.read(offset + at, Math.min(SLICE_BYTES, byteLength - at));
    }
  }
  return { ms: performance.now() - start, bytes: source.size };
}

const api = { timeReading };
export type ReadBench = typeof api;
expose(api);
