import { expose } from 'comlink';
import { openGpu } from '../../src/gpu/device.ts';
import { readModelFile } from '../../src/formats/gguf.ts';
import { openSource } from '../../src/download/open-source.ts';
import { loadRunner } from '../../src/runner/load-runner.ts';
import { BufferMeter, type GpuBytes } from './buffer-meter.ts';

/** Loads the model as the product does by default, and counts what it asks the GPU for. */
async function countGpuBytes(modelUrl: string): Promise<GpuBytes> {
  const ignore = (): void => {};
  const source = await openSource(modelUrl, { baseUrl: modelUrl, onProgress: ignore, log: ignore });
  const file = await readModelFile(source);
  const gpu = await openGpu();
  const meter = new BufferMeter(gpu.device);
  const loaded = await loadRunner({ file, gpu });
  const { bytes } = meter;
  loaded.destroy();
  return bytes;
}

const api = { countGpuBytes };
export type MemoryBench = typeof api;
expose(api);
