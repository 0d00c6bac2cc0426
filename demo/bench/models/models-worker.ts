import { expose } from 'comlink';
import type { AdapterLimits } from '../../../src/core/profile.ts';
import { openGpu } from '../../../src/gpu/device.ts';
import { probeLimits } from '../../../src/gpu/limits-probe.ts';
import type { ByteSource } from '../../../src/core/byte-source.ts';
import { openSource } from '../../../src/download/open-source.ts';
import type { BenchOptions, RowFigures } from '../figures.ts';
import { RowList } from '../rows.ts';
import { Budget, NO_TIME } from './budget.ts';
import { checkGolden, hasGoldens } from './check-golden.ts';
import { loadSubject, type Subject } from './load-model.ts';
import { measureModel } from './measure-model.ts';
import { type ModelSizes, modelSizesFor } from './sizes.ts';
import { SYNTHETIC_SHAPES, syntheticModel } from './synthetic-model.ts';
import { tune } from './tune.ts';

/** A KV cache beyond it may be granted and yet swap. */
const MAX_KV_BYTES = 5 * 2 ** 30;

/** What models of one run share. */
interface Run {
  readonly sizes: ModelSizes;
  readonly limits: AdapterLimits;
  readonly list: RowList;
  readonly log: (line: string) => void;
}

/** The runner's own plans, timed: no page, no tabs, no scheduler. */
async function benchModels(options: BenchOptions, log: (line: string) => void): Promise<RowFigures> {
  const list = new RowList('models');
  log('models: the ceilings');
  const { limits, adapter } = await measureCeilings(list);
  const run = { sizes: modelSizesFor(adapter.isSoftware, options), limits, list, log };
  for (const key of run.sizes.shapesLeftOut) {
    list.omit(SYNTHETIC_SHAPES[key].name, options.shapes === undefined ? 'the adapter is software' : '--shapes');
  }
  const modelName = await benchGiven(run, options);
  for (const key of run.sizes.shapes) await benchShape(run, key);
  return { rows: list.rows, omitted: list.omitted, adapter, modelName };
}

async function measureCeilings(list: RowList) {
  const gpu = await openGpu();
  try {
    const limits = await probeLimits(gpu);
    const ceiling = (metric: string, unit: string, value: number): void => {
      list.add({ metric: `ceiling: ${metric}`, dimensions: {}, unit, better: 'neither', samples: [value] });
    };
    ceiling('reads', 'GB/s', limits.readGBps);
    ceiling('f32', 'GFLOP/s', limits.f32Gflops);
    return { limits, adapter: gpu.adapter };
  } finally {
    gpu.device.destroy();
  }
}

/** The model that was asked for; its name. One that says other things than it should is not worth timing. */
async function benchGiven(run: Run, { modelUrl, keepsModel = false }: BenchOptions): Promise<string> {
  const ignore = (): void => {};
  const source = await openSource(modelUrl, {
    baseUrl: modelUrl, onProgress: ignore, log: ignore, ...(keepsModel ? {} : { storage: null }),
  });
  const check = async ({ loaded }: Subject, when: string): Promise<void> => {
    if (hasGoldens(modelUrl)) await checkGolden(loaded, when);
  };
  return benchModel(run, source, check);
}

/** Its failure may be this one's alone: the next one may be smaller. */
async function benchShape(run: Run, key: keyof typeof SYNTHETIC_SHAPES): Promise<void> {
  const shape = SYNTHETIC_SHAPES[key];
  try {
    await benchModel(run, syntheticModel(shape), async () => {});
  } catch (error) {
    run.list.omit(shape.name, String(error));
  }
}

async function benchModel(
  { sizes, limits, list, log }: Run,
  source: ByteSource,
  check: (subject: Subject, when: string) => Promise<void>,
): Promise<string> {
  log(`models: loading ${source.id}`);
  const budget = new Budget(sizes.seconds);
  const sequences = Math.max(...sizes.batches);
  const tokens = Math.max(...sizes.contexts) + sizes.decodeTokens;
  const subject = await loadSubject(source, { sequences, tokens, maxBytes: MAX_KV_BYTES });
  try {
    const { name } = subject.loaded.config;
    const dimensions = { model: name };
    list.add({ metric: 'load', dimensions, unit: 'ms', better: 'lower', samples: [subject.loadMs] });
    if (budget.isSpent) {
      list.omit(name, `${NO_TIME} after loading`);
      return name;
    }
    await tune(subject.loaded);
    log(`models: measuring ${name}`);
    await check(subject, 'before it is timed');
    await measureModel({ subject, name, sizes, limits, budget, list });
    await check(subject, 'after it was timed');
    return name;
  } finally {
    subject.loaded.destroy();
  }
}

const api = { benchModels };
export type ModelsBench = typeof api;
expose(api);
