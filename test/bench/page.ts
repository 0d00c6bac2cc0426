import { proxy } from 'comlink';
import type { AccuracyBench } from './accuracy-worker.ts';
import { type BenchContext, openBenchContext, ttftOf } from './bench-context.ts';
import { measureBusy } from './busy.ts';
import { measureClose } from './close.ts';
import type { EngineBench } from './engine-worker.ts';
import { measureFailover } from './failover.ts';
import type { BenchOptions, BenchPart, BenchSubject, ClientFigures, EngineFigures, RowFigures } from './figures.ts';
import { inWorker } from './in-worker.ts';
import { measureLoad } from './load.ts';
import { measureMemory } from './memory.ts';
import type { ModelsBench } from './models/models-worker.ts';
import { measurePrefix } from './prefix.ts';
import { measureProfile } from './profile.ts';
import type { ReloadsBench } from './reloads-worker.ts';
import { measureStall } from './stall.ts';
import { measureStart } from './start.ts';
import { requireAnswer, timeRequest, userSays } from './time-request.ts';

/** What a worker prints nobody sees. */
const log = proxy((line: string) => console.log(line));

let opened: Promise<BenchContext> | undefined;

/** The context that all parts but the engine's share. */
function context(options: BenchOptions): Promise<BenchContext> {
  opened ??= openBenchContext(options);
  return opened;
}

/** Without a client, so before there is one: two copies of the model would share the GPU. */
function measureEngine(options: BenchOptions): Promise<EngineFigures> {
  console.log('engine: loading and measuring');
  const worker = new Worker(new URL('./engine-worker.ts', import.meta.url), { type: 'module' });
  return inWorker<EngineBench, EngineFigures>(worker, (engine) => engine.benchEngine(options));
}

/** Speeds of the model, and of models of random weights in the shapes of others, one after the other on a GPU of their own. */
function measureModels(options: BenchOptions): Promise<RowFigures> {
  const worker = new Worker(new URL('./models/models-worker.ts', import.meta.url), { type: 'module' });
  return inWorker<ModelsBench, RowFigures>(worker, ({ benchModels }) => benchModels(options, log));
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

/** The first token's way: page, SharedWorker, tokenizer, scheduler, GPU and back. */
async function measureTtft({ client, options, salt }: BenchContext): Promise<ClientFigures> {
  console.log('ttft: measuring');
  const ttftMs: number[] = [];
  let promptTokens = 0;
  for (let i = 0; i < options.repeats; i++) {
    const messages = userSays('What is the capital of France?');
    const times = await requireAnswer(timeRequest(client, { messages, maxTokens: 4, salt: salt() }));
    ttftMs.push(ttftOf(times));
    promptTokens = times.promptTokens;
  }
  return { promptTokens, ttftMs };
}

/** Each with what is open; those that begin before anything is, with the options. */
const MEASURES: Readonly<Record<BenchPart, (options: BenchOptions) => Promise<unknown>>> = {
  start: measureStart,
  engine: measureEngine,
  models: measureModels,
  accuracy: measureAccuracy,
  reloads: measureReloads,
  memory: (options) => measureMemory(options, () => context(options)),
  limits: async (options) => (await context(options)).client.limits(),
  ttft: async (options) => measureTtft(await context(options)),
  busy: async (options) => measureBusy(await context(options)),
  load: async (options) => measureLoad(await context(options)),
  stall: async (options) => measureStall(await context(options)),
  prefix: async (options) => measurePrefix(await context(options)),
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
