import { expose } from 'comlink';
import { NUMERICS, type Numerics } from '../../src/core/numerics.ts';
import { type Gpu, openGpu } from '../../src/gpu/device.ts';
import { type ModelFile, readModelFile } from '../../src/formats/gguf.ts';
import { openSource } from '../../src/download/open-source.ts';
import { readModelConfig } from '../../src/models/architectures.ts';
import { loadRunner } from '../../src/runner/load-runner.ts';
import { logitsOfEveryPosition } from '../support/gpu-runner.ts';
import { compareLogits, perplexityOf, textTokens } from '../support/logit-costs.ts';
import type { BenchOptions, RowFigures } from '../../demo/bench/figures.ts';
import { RowList } from '../../demo/bench/rows.ts';
import { sizesFor } from '../../demo/bench/sizes.ts';

/** How far the logits of each class of numerics are from f32's, along a fixed text. */
async function benchAccuracy({ modelUrl, quick }: BenchOptions, log: (line: string) => void): Promise<RowFigures> {
  const ignore = (): void => {};
  const source = await openSource(modelUrl, { baseUrl: modelUrl, onProgress: ignore, log: ignore });
  const file = await readModelFile(source);
  const { name: model } = readModelConfig(file);
  const list = new RowList('accuracy');
  let exact: readonly Float32Array[] | undefined;
  let adapter: Gpu['adapter'] | undefined;
  for (const numerics of NUMERICS) {
    const gpu = await openGpu(undefined, numerics);
    adapter ??= gpu.adapter;
    if (!gpu.supportedNumerics.includes(numerics)) {
      list.omit(numerics, 'the adapter does not compute in it');
      gpu.device.destroy();
      continue;
    }
    log(`accuracy: ${numerics}`);
    const tokenIds = textTokens(file).slice(0, sizesFor(gpu.adapter.isSoftware, quick).accuracy.tokens);
    const logits = await logitsIn(numerics, gpu, file, tokenIds.slice(0, -1));
    exact ??= logits;
    const { mean, worst, flips, steps } = compareLogits(exact, logits);
    const add = (metric: string, unit: string, better: 'higher' | 'lower', value: number): void => {
      list.add({ metric, dimensions: { model, numerics, tokens: tokenIds.length }, unit, better, samples: [value] });
    };
    add('perplexity', '', 'lower', perplexityOf(tokenIds, logits));
    if (exact === logits) continue; // no further from itself
    add('mean logit error', '', 'lower', mean);
    add('worst logit error', '', 'lower', worst);
    add('same first choice', '%', 'higher', (100 * (steps - flips)) / steps);
  }
  if (adapter === undefined) throw new Error('there are no numerics');
  return { rows: list.rows, omitted: list.omitted, adapter, modelName: model };
}

async function logitsIn(numerics: Numerics, gpu: Gpu, file: ModelFile, tokenIds: readonly number[]) {
  const loaded = await loadRunner({ file, gpu, numerics, maxModelLen: Math.ceil(tokenIds.length / 16) * 16 });
  try {
    return await logitsOfEveryPosition(loaded, tokenIds);
  } finally {
    loaded.destroy();
  }
}

const api = { benchAccuracy };
export type AccuracyBench = typeof api;
expose(api);
