import type { BenchContext } from '../../demo/bench/bench-context.ts';
import type { GpuBytes } from './buffer-meter.ts';
import { EndlessStream } from '../../demo/bench/endless-stream.ts';
import type { BenchOptions, RowFigures } from '../../demo/bench/figures.ts';
import type { HeapUsage } from './heap-usage.mjs';
import { inWorker } from '../../demo/bench/in-worker.ts';
import type { MemoryBench } from './memory-worker.ts';
import { RowList } from '../../demo/bench/rows.ts';

const MIB = 2 ** 20;

/** Pieces of text that each stream has got before its memory is looked at. */
const TEXTS = 4;

/** What the model takes of the GPU, and page and engine of the JavaScript heap. */
export async function measureMemory(options: BenchOptions, openContext: () => Promise<BenchContext>): Promise<RowFigures> {
  console.log('memory: the GPU');
  const list = new RowList('memory');
  const gpuBytes = await countGpuBytes(options.modelUrl);
  const context = await openContext(); // there is one model on the GPU at a time
  const model = context.client.model.name;
  for (const [use, bytes] of Object.entries({ ...gpuBytes, all: gpuBytes.weights + gpuBytes.kvCache + gpuBytes.steps })) {
    list.add({ metric: 'GPU buffers', dimensions: { model, use }, unit: 'MiB', better: 'lower', samples: [bytes / MIB] });
  }
  const addHeaps = (when: string, heaps: readonly HeapUsage[]): void => {
    for (const { of, bytes } of heaps) {
      list.add({ metric: 'JS heap', dimensions: { model, of, when }, unit: 'MiB', better: 'lower', samples: [bytes / MIB] });
    }
  };
  const { heapUsage } = globalThis as { readonly heapUsage?: () => Promise<readonly HeapUsage[]> };
  if (heapUsage === undefined) {
    list.omit('JS heap', 'the browser is not driven by run.mjs');
  } else {
    console.log('memory: the JavaScript heaps');
    addHeaps('loaded', await heapUsage());
    addHeaps(`${context.sizes.busy.streams} streams`, await besideStreams(context, heapUsage));
  }
  return { rows: list.rows, omitted: list.omitted, adapter: context.adapter, modelName: model };
}

function countGpuBytes(modelUrl: string): Promise<GpuBytes> {
  const worker = new Worker(new URL('./memory-worker.ts', import.meta.url), { type: 'module' });
  return inWorker<MemoryBench, GpuBytes>(worker, (memory) => memory.countGpuBytes(modelUrl));
}

/** What `look` sees while streams decode. */
function besideStreams<Result>(context: BenchContext, look: () => Promise<Result>): Promise<Result> {
  return context.withSessions(context.sizes.busy.streams, async (clients) => {
    const stop = new AbortController();
    const streams = clients.map((client, i) => new EndlessStream(context, client, 1000 * i, stop.signal));
    try {
      await Promise.all(streams.map((stream) => stream.reached(TEXTS)));
      return await look();
    } finally {
      stop.abort();
    }
  });
}
