import { afterEach, expect, test } from 'vitest';
import type { Tuning } from '../../src/core/tuning.ts';
import { VisibleClock } from '../../src/core/visible-clock.ts';
import type { BestVariant } from '../../src/tuning/tunable.ts';
import { type LoadedRunner, loadRunner, type LoadRunnerOptions } from '../../src/runner/load-runner.ts';
import type { TuningRecord, TuningStorage } from '../../src/tuning/tuning-store.ts';
import { createModelLoader } from '../../src/worker/load-model.ts';
import type { LoadContext, ServedModel } from '../../src/worker/served-model.ts';
import { blocksFor, loadBytes, loadWhole, step, TestSequence } from '../support/gpu-runner.ts';
import { sharedGpu } from '../support/shared-gpu.ts';
import { readTinyGoldens } from '../support/tiny-goldens.ts';
import { tinyModel } from '../support/tiny-model.ts';

// Every variant of a kernel gives the same bits, and a trial leaves no trace.

const golden = readTinyGoldens().find(({ model }) => model.preset === 'gqa3' && model.type === 'Q4_1');
if (golden === undefined) throw new Error('no golden');
const bytes = tinyModel(golden.model);
/** Matmuls as they ship: their shapes, and what is fused with them. */
const shipped = tinyModel({ preset: 'smollm2', type: 'Q4_1' });
const limits = { maxNumBatchedTokens: 32, maxNumSeqs: 4, maxStepsPerPlan: 1 };

let loaded: LoadedRunner | undefined;
let served: ServedModel | undefined;
/** Ends its engine. */
let stop = new AbortController();
afterEach(() => {
  loaded?.destroy();
  stop.abort();
  served?.destroy();
  loaded = served = undefined;
});

/** As on a GPU, whatever it is: k is summed in slices, and sets of lanes may share them out. */
async function load(model: typeof bytes, isSoftware: boolean, bestVariants?: ReadonlyMap<string, BestVariant>): Promise<LoadedRunner> {
  const gpu = await sharedGpu();
  const asOn = { ...gpu, adapter: { ...gpu.adapter, isSoftware } };
  const options = { kvCacheBytes: 2 ** 20, gpu: asOn, limits, bestVariants: bestVariants && (async () => bestVariants) };
  // A software adapter compiles what is meant for a GPU very slowly: deferred kernels there only where they are tried.
  loaded = await (isSoftware ? loadWhole : loadBytes)(model, options);
  return loaded;
}

/** Every word that steps leave behind them; of attention's own, without what a step computes anew before it reads it. */
async function readState({ runner, device }: LoadedRunner, ofAttention = false): Promise<Uint32Array> {
  const { cache, rotation: _constant, partials, attended, ...others } = runner.state;
  const state = ofAttention ? others : { ...others, partials, attended };
  const all = [...Object.values(state), ...cache.flatMap(({ keys, values }) => [keys, values])];
  const buffers = all.filter((each): each is GPUBuffer => each instanceof GPUBuffer);
  const size = buffers.reduce((sum, each) => sum + each.size, 0);
  const staging = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  let at = 0;
  for (const buffer of buffers) {
    encoder.copyBufferToBuffer(buffer, 0, staging, at, buffer.size);
    at += buffer.size;
  }
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const words = new Uint32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return words;
}

/** Feeds the first tokens of a prompt, from nothing, and samples. */
async function feed(runner: LoadedRunner, tokens: number, ofAttention = false): Promise<Uint32Array> {
  const blockTable = blocksFor(runner.scheduler, 0, 32);
  await step(runner, [[new TestSequence({ tokenIds: golden?.tokens.slice(0, tokens) ?? [], blockTable }), tokens]]);
  return readState(runner, ofAttention);
}

function firstDifference(a: Uint32Array, b: Uint32Array): number | undefined {
  const at = a.findIndex((word, i) => word !== b[i]);
  return at < 0 ? undefined : at;
}

async function greedy(runner: LoadedRunner, count: number): Promise<readonly number[]> {
  const tokenIds = golden?.tokens ?? [];
  const sequence = new TestSequence({ tokenIds, blockTable: blocksFor(runner.scheduler, 0, tokenIds.length + count) });
  while (sequence.tokenIds.length < tokenIds.length + count) await step(runner, [[sequence, 32]]);
  return sequence.tokenIds.slice(tokenIds.length);
}

/** One of each number of tokens, of several kernels: a software adapter compiles slowly. */
function some<T extends { readonly tokens: number; readonly name: string }>(tunables: readonly T[]): readonly T[] {
  const matmuls = tunables.filter(({ name }) => name.startsWith('matmul'));
  return [1, 2, 4, 8].flatMap((width, i) => matmuls.filter(({ tokens }) => tokens === width).slice(i, i + 1));
}

test.each([true, false])('software %s: trials leave no word changed, and every variant gives the same bits', async (isSoftware) => {
  const runner = await load(shipped, isSoftware);
  const ids = await greedy(runner, 12);
  const others = new Map<string, BestVariant>();
  const chosen = (of: LoadedRunner) => (isSoftware ? some(of.tunables) : some(of.tunables).slice(1, 3));
  for (const tunable of chosen(runner)) {
    const before = await feed(runner, tunable.tokens);
    const { variants, time, use } = await prepared(tunable);
    expect(variants.length).toBeGreaterThan(2);
    for (const variant of variants) expect(await time(variant, 3)).toBeGreaterThan(0);
    expect(firstDifference(before, await readState(runner)), `${tunable.name} is tried`).toBeUndefined();
    for (const variant of variants) {
      use(variant);
      expect(tunable.variant).toBe(variant);
      expect(firstDifference(before, await feed(runner, tunable.tokens)), `${tunable.name} as ${variant}`).toBeUndefined();
    }
    others.set(tunable.key, { variant: variants.at(-1) ?? '', ms: 1, defaultMs: 2, tried: variants.slice(1) });
  }
  const names = chosen(runner).map(({ name }) => name.replace(/-int.*/, ''));
  expect(names).toEqual(expect.arrayContaining(['matmul-residual', 'matmul-silu-mul']));
  expect(runner.counters().bindGroupsCreated).toBe(0);
  expect(await greedy(runner, 12)).toEqual(ids);
  if (!isSoftware) return;

  runner.destroy();
  const next = await load(shipped, isSoftware, others);
  expect(chosen(next).map(({ key, variant }) => [key, variant])).toEqual([...others].map(([key, { variant }]) => [key, variant]));
  expect(await greedy(next, 12)).toEqual(ids);
}, 240_000);

test('attention of one row and of tiles is tried on rows of its own, and every variant gives the same bits', async () => {
  const runner = await load(bytes, false);
  const ids = await greedy(runner, 12);
  const ofAttention = runner.tunables.filter(({ name }) => name.startsWith('attention'));
  expect(ofAttention.map(({ tokens }) => tokens)).toEqual([1, 4]);
  for (const tunable of ofAttention) {
    const before = await feed(runner, tunable.tokens, true);
    const { variants, time, use } = await prepared(tunable);
    expect(variants.length).toBeGreaterThan(2);
    for (const variant of variants) expect(await time(variant, 3)).toBeGreaterThan(0);
    expect(firstDifference(before, await readState(runner, true)), `${tunable.name} is tried`).toBeUndefined();
    for (const variant of variants) {
      use(variant);
      expect(tunable.variant).toBe(variant);
      expect(firstDifference(before, await feed(runner, tunable.tokens, true)), `${tunable.name} as ${variant}`).toBeUndefined();
    }
  }
  expect(await greedy(runner, 12)).toEqual(ids);
}, 240_000);

test('a kernel says what a trial could gain before anything is compiled; candidates that are given up are left out', async () => {
  const { tunables } = await load(bytes, true);
  const [tunable] = tunables.filter(({ name, tokens }) => name.startsWith('matmul') && tokens === 1);
  const trial = await tunable?.prepare(tunable.candidates.slice(0, 1), AbortSignal.abort());
  expect(trial).toMatchObject({ variants: [tunable?.variant], refused: [] });
  const widest = Math.max(...tunables.map(({ tokens }) => tokens));
  for (const { name, tokens, trialStep, candidates, variant } of tunables) {
    expect(candidates).not.toContain(variant);
    if (!name.startsWith('matmul')) continue;
    expect(trialStep.tokens).toBe(tokens === widest ? 64 : tokens);
    const [rows = NaN, columns = NaN] = /(\d+)x(\d+)$/.exec(name)?.slice(1).map(Number) ?? [];
    expect(trialStep.bytes, name).toBeGreaterThan((rows * columns) / 2); // at least its 4-bit weights, once
  }
});

async function prepared(tunable: LoadedRunner['tunables'][number]) {
  const trial = await tunable.prepare(tunable.candidates, new AbortController().signal);
  return { variants: trial.variants, time: trial.time.bind(trial), use: trial.use.bind(trial) };
}

test('a best variant that is not known any more, or does not compile, leaves the default', async () => {
  const first = await load(bytes, true);
  const bestVariants = new Map(first.tunables.map(({ key }) => [key, { variant: 'of another release', ms: 1, defaultMs: 2, tried: [] }]));
  const defaults = first.tunables.map(({ variant }) => variant);
  first.destroy();
  const next = await load(bytes, true, bestVariants);
  expect(next.tunables.map(({ variant }) => variant)).toEqual(defaults);
  expect(await greedy(next, 4)).toEqual(golden?.greedyIds.slice(0, 4));
});

/** A worker's model, with only some kernels to tune. */
async function serve(tuning: Tuning, storage: TuningStorage): Promise<ServedModel> {
  const loadSome = async (options: LoadRunnerOptions) => {
    const runner = await loadRunner({ ...options, limits, gpu: await sharedGpu() });
    return { ...runner, tunables: some(runner.tunables) };
  };
  const loadModel = createModelLoader({ loadRunner: loadSome, baseUrl: '', tuningStorage: () => storage });
  const context: LoadContext = {
    onProgress: () => {}, beginWait: () => () => {}, signal: new AbortController().signal, log: () => {}, clock: () => performance.now(),
    visibleClock: new VisibleClock(() => performance.now(), true),
    reserve: async ({ wantedBytes }) => wantedBytes,
  };
  served = await loadModel({ source: new File([bytes], 'tiny.gguf'), kvCacheBytes: 2 ** 20, tuning }, context);
  stop = new AbortController();
  void pump(served, stop.signal);
  return served;
}

const answers = new Map<string, number[]>();

async function pump(model: ServedModel, signal: AbortSignal): Promise<void> {
  for await (const outputs of model.engine.run(signal)) {
    for (const { requestId, newTokenIds } of outputs) answers.set(requestId, [...(answers.get(requestId) ?? []), ...newTokenIds]);
  }
}

async function ask(model: ServedModel, requestId: string): Promise<void> {
  const sampling = { temperature: 0, seed: 0, maxTokens: 12, stopTokenIds: [] };
  const promptTokenIds = golden?.tokens ?? [];
  model.engine.add({ requestId, sessionId: 's', choice: 0, promptTokenIds, sampling, arrivalTime: 0 });
  await expect.poll(() => answers.get(requestId)?.length, { timeout: 60_000 }).toBe(12);
  expect(answers.get(requestId)).toEqual(golden?.greedyIds.slice(0, 12));
}

test('a load that is told to tunes while it is idle, and the next one begins with what it found', async () => {
  const records = new Map<string, TuningRecord>();
  const storage: TuningStorage = {
    read: async (adapter) => records.get(adapter),
    update: async (adapter, change) => void records.set(adapter, change(records.get(adapter))),
  };
  const first = await serve('force', storage);
  expect(first.tuning()).toMatchObject({ gpuMs: 0, numKernels: 4, kernels: [] });
  await expect.poll(() => first.tuning().gpuMs, { timeout: 60_000 }).toBeGreaterThan(0);
  await ask(first, 'between trials');
  await expect.poll(() => first.tuning().state, { timeout: 100_000 }).toBe('done');
  const { kernels } = first.tuning();
  expect(kernels.map(({ tokens }) => tokens)).toEqual([1, 2, 4, 8]);
  for (const { gain } of kernels) expect(gain).toBeGreaterThanOrEqual(1);
  expect(first.tuning().pipelinesCompiled).toBeGreaterThanOrEqual(4);
  expect(first.tuning().wallMs).toBeGreaterThan(first.tuning().gpuMs);
  await ask(first, 'tuned');
  expect(first.counters().bindGroupsCreated).toBe(0);
  stop.abort();
  first.destroy();

  const second = await serve('auto', storage);
  await ask(second, 'again');
  expect(second.tuning()).toEqual({ state: 'cached', wallMs: 0, gpuMs: 0, pipelinesCompiled: 0, numKernels: 4, kernels });
  stop.abort();
  second.destroy();

  const third = await serve('off', storage);
  expect(third.tuning()).toMatchObject({ state: 'off', kernels: [] });
});
