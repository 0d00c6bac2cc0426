import { proxy, wrap } from 'comlink';
import type { BenchOptions, RowFigures } from './figures.ts';
import type { ModelsBench } from './models/models-worker.ts';

/** Speeds of the model, and of models of random weights in the shapes of others, one after the other on a GPU of their own. */
export async function measureModels(options: BenchOptions): Promise<RowFigures> {
  const worker = new Worker(new URL('./models/models-worker.ts', import.meta.url), { type: 'module' });
  try {
    return await wrap<ModelsBench>(worker).benchModels(options, proxy((line: string) => console.log(line)));
  } finally {
    worker.terminate();
  }
}
