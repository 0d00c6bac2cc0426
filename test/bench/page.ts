import { proxy } from 'comlink';
import type { BenchOptions, BenchPart, BenchSubject, EngineFigures, RowFigures } from '../../demo/bench/figures.ts';
import { inWorker } from '../../demo/bench/in-worker.ts';
import { context, log, type Measure, PAGE_PARTS } from '../../demo/bench/page-parts.ts';
import type { AccuracyBench } from './accuracy-worker.ts';
import { measureClose } from './close.ts';
import type { EngineBench } from './engine-worker.ts';
import { measureFailover } from './failover.ts';
import { measureMemory } from './memory.ts';
import { measureProfile } from './profile.ts';
import type { ReloadsBench } from './reloads-worker.ts';
import { measureStart } from './start.ts';

/** Without a client, so before there is one: two copies of the model would share the GPU. */
function measureEngine(options: BenchOptions): Promise<EngineFigures> {
  console.log('engine: loading and measuring');
  const worker = new Worker(new URL('./engine-worker.ts', import.meta.url), { type: 'module' });
  return inWorker<EngineBench, EngineFigures>(worker, (engine) => engine.benchEngine(options));
}

/** What the classes of numerics cost in accuracy. */
function measureAccuracy(options: BenchOptions): Promise<RowFigures> {
  const worker = new Worker(new URL('./accuracy-worker.ts', import.meta.url), { type: 'module' });
  return inWorker<AccuracyBench, RowFigures>(worker, ({ benchAccuracy }) => benchAccuracy(options, log));
}

/** What a load takes after others, and what is left of it. */
function measureReloads(options: BenchOptions): Promise<RowFigures> {
  const { gpuProcessBytes } = globalThis as { readonly gpuProcessBytes?: () => Promise<number | undefined> };
  const processBytes = proxy(async () => gpuProcessBytes?.());
  const worker = new Worker(new URL('./reloads-worker.ts', import.meta.url), { type: 'module' });
  return inWorker<ReloadsBench, RowFigures>(worker, ({ benchReloads }) => benchReloads(options, processBytes, log));
}

/** Each with what is open; those that begin before anything is, with the options. */
const MEASURES: { readonly [Part in BenchPart]: Measure<unknown> } = {
  ...PAGE_PARTS,
  start: measureStart,
  engine: measureEngine,
  accuracy: measureAccuracy,
  reloads: measureReloads,
  memory: (options) => measureMemory(options, () => context(options)),
  limits: async (options) => (await context(options)).client.limits(),
  close: async (options) => measureClose(await context(options)),
  profile: async (options) => measureProfile(await context(options)),
  failover: async (options) => measureFailover(await context(options)),
};

/** What run.mjs calls. */
const bench = {
  /** One part's figures. */
  async measure(part: BenchPart, options: BenchOptions): Promise<unknown> {
    return MEASURES[part](options);
  },
  async subject(options: BenchOptions): Promise<BenchSubject> {
    const { adapter, client } = await context(options);
    return { adapter, modelName: client.model.name };
  },
};

Object.assign(globalThis, { bench });
