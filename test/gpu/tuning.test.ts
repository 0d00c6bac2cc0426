import { afterEach, expect, test, vi } from 'vitest';
import type { Tuning } from '../../src/core/tuning.ts';
import { VisibleClock } from '../../src/core/visible-clock.ts';
import type { Trial } from '../../src/tuning/tunable.ts';
import { type LoadedRunner, loadRunner, type LoadRunnerOptions } from '../../src/runner/load-runner.ts';
import type { TuningRecord, TuningStorage } from '../../src/tuning/tuning-store.ts';
import { createModelLoader } from '../../src/worker/load-model.ts';
import type { LoadContext, ServedModel } from '../../src/worker/served-model.ts';
import { blocksFor, loadBytes, loadWhole, step, TestSequence } from '../support/gpu-runner.ts';
import { compileDeferred } from '../support/deferred-kernels.ts';
import { DEFAULT_FAULTS, FAULTS, plant, plantDefault } from '../support/kernel-faults.ts';
import { readWords } from '../support/read-words.ts';
import { sharedGpu } from '../support/shared-gpu.ts';
import { readTinyGoldens } from '../support/tiny-goldens.ts';
import { tinyModel } from '../support/tiny-model.ts';

// Every variant of a kernel gives the same bits; one that does not is not used. Trials and checks leave no trace.

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
  vi.restoreAllMocks();
});

/** As on a GPU, whatever it is: k is summed in slices, and sets of lanes may share them out. */
async function load(model: typeof bytes, isSoftware: boolean, more: Partial<LoadRunnerOptions> = {}): Promise<LoadedRunner> {
  const gpu = await sharedGpu();
  const asOn = { ...gpu, adapter: { ...gpu.adapter, isSoftware } };
  const options = { kvCacheBytes: 2 ** 20, gpu: asOn, limits, ...more };
  // A software adapter compiles what is meant for a GPU very slowly: deferred kernels there only where they are tried.
  loaded = await (isSoftware ? loadWhole : loadBytes)(model, options);
  return loaded;
}

/** Every word that steps leave behind them; of attention's own, without what a step computes anew before it reads it. */
async function readState({ runner, device }: LoadedRunner, ofAttention = false): Promise<Uint32Array> {
  const { cache, rotation: _constant, partials, attended, ...others } = runner.state;
  const state = ofAttention ? others : { ...others, partials, attended };
  const all = [...Object.values(state), ...cache.flatMap(({ keys, values }) => [keys, values])];
  return readWords(device, all.filter((each): each is GPUBuffer => each instanceof GPUBuffer));
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
  const chosen = (of: LoadedRunner) => (isSoftware ? some(of.tunables) : some(of.tunables).slice(1, 3));
  for (const tunable of chosen(runner)) {
    const before = await feed(runner, tunable.tokens);
    const { variants, time, agrees, use } = await prepared(tunable);
    expect(variants.length).toBeGreaterThan(2);
    for (const variant of variants) expect(await time(variant, 3)).toBeGreaterThan(0);
    for (const variant of variants) expect(await agrees(variant), `${tunable.name} as ${variant}`).toBe(true);
    expect(firstDifference(before, await readState(runner)), `${tunable.name} is tried`).toBeUndefined();
    for (const variant of variants) {
      use(variant);
      expect(tunable.variant).toBe(variant);
      expect(firstDifference(before, await feed(runner, tunable.tokens)), `${tunable.name} as ${variant}`).toBeUndefined();
    }
  }
  expect(chosen(runner).map(kernelOf)).toEqual(expect.arrayContaining(['matmul-residual', 'matmul-silu-mul']));
  expect(runner.counters().bindGroupsCreated).toBe(0);
  expect(await greedy(runner, 12)).toEqual(ids);
}, 240_000);

test('attention of one row and of tiles is tried on rows of its own, and every variant gives the same bits', async () => {
  const runner = await load(bytes, false);
  const ids = await greedy(runner, 12);
  const ofAttention = runner.tunables.filter(({ name }) => name.startsWith('attention'));
  expect(ofAttention.map(({ tokens }) => tokens)).toEqual([1, 4]);
  for (const tunable of ofAttention) {
    const before = await feed(runner, tunable.tokens, true);
    const { variants, time, agrees, use } = await prepared(tunable);
    expect(variants.length).toBeGreaterThan(2);
    for (const variant of variants) expect(await time(variant, 3)).toBeGreaterThan(0);
    for (const variant of variants) expect(await agrees(variant), `${tunable.name} as ${variant}`).toBe(true);
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
  return { variants: trial.variants, time: trial.time.bind(trial), agrees: trial.agrees.bind(trial), use: trial.use.bind(trial) };
}

/** The first of each kernel: its narrowest. */
function oneOfEach<T extends { readonly name: string }>(tunables: readonly T[]): readonly T[] {
  const kernels = tunables.map(kernelOf);
  return tunables.filter((_, i) => kernels.indexOf(kernels[i] ?? '') === i);
}

/** The kernel's name, without formats and sizes. */
function kernelOf({ name }: { readonly name: string }): string {
  return name.replace(/-(int|f).*/, '');
}

test.each([['f32', shipped], ['int8', bytes]] as const)('a wrong variant of each kernel is told from a right one, with a cache of %s, and the check writes nothing of a step’s', async (kvCacheDtype, model) => {
  plant(FAULTS);
  const runner = await load(model, true, { kvCacheDtype });
  const all = oneOfEach(runner.tunables).map((tunable) => ({ tunable, kernel: kernelOf(tunable) }));
  // Those that differ from one cache to the other.
  const some = kvCacheDtype === 'int8' ? all.filter(({ kernel }) => kernel === 'matmul-normalised' || kernel.startsWith('attention')) : all;
  const fused = ['matmul-logits', 'matmul-residual', 'matmul-rope-kv-write', 'matmul-silu-mul'];
  const matmuls = kvCacheDtype === 'int8' ? ['matmul-normalised'] : fused;
  expect(some.map(({ kernel }) => kernel).toSorted()).toEqual(['attention', 'attention-tiled', ...matmuls]);
  const before = await feed(runner, 3);
  for (const { tunable } of some) {
    const { variants, agrees } = await prepared(tunable);
    const [wrongs, rights] = [true, false].map((isWrong) => variants.filter((name) => FAULTS.some((fault) => fault.name === name) === isWrong));
    expect([wrongs?.length, rights?.length], tunable.name).toEqual([2, 2]);
    for (const variant of wrongs ?? []) expect(await agrees(variant), `${tunable.name} ${variant}`).toBe(false);
    for (const variant of rights ?? []) expect(await agrees(variant), `${tunable.name} ${variant}`).toBe(true);
  }
  expect(firstDifference(before, await readState(runner))).toBeUndefined();
}, 240_000);

test('wrong variants that are the fastest lose, and one that a store holds is dropped at the next load', async () => {
  plant(FAULTS);
  const { records, storage } = memory();
  const pick = (tunables: LoadedRunner['tunables']) =>
    [/^matmul-residual/, /^attention-tiled/].flatMap((name) => tunables.filter((tunable) => name.test(tunable.name)).slice(0, 1));
  const timed = (tunables: LoadedRunner['tunables']) => pick(tunables).map((tunable) => withTimes(tunable, (variant) => (FAULTS.some(({ name }) => name === variant) ? 0.1 : 1)));
  const first = await serve('force', storage, timed);
  await expect.poll(() => first.tuning().state, { timeout: 100_000 }).toBe('done');
  const { kernels, rejected } = first.tuning();
  const names = kernels.map(({ name }) => name);
  expect(kernels.map(kernelOf)).toEqual(['matmul-residual', 'attention-tiled']);
  expect(rejected.toSorted(byText)).toEqual(
    [['drops the last group of k', 0], ['exits early', 0], ['drops the last group of tokens', 1], ['exits early', 1]]
      .map(([variant, i]) => ({ kernel: names[Number(i)], variant })).toSorted(byText),
  );
  for (const { variant } of kernels) expect(FAULTS.map(({ name }) => name)).not.toContain(variant);
  await ask(first, 'with planted variants');
  stop.abort();
  first.destroy();

  // As an earlier release, or another driver, may have left it.
  for (const [adapter, record] of records) {
    const planted = Object.entries(record.bestVariants).map(([key, best]) => [key, { ...best, variant: 'exits early' }]);
    records.set(adapter, { ...record, bestVariants: Object.fromEntries(planted) });
  }
  const second = await serve('auto', storage, timed);
  await expect.poll(() => second.tuning().rejected.length, { timeout: 60_000 }).toBe(2);
  expect(second.tuning().rejected).toEqual(names.map((kernel) => ({ kernel, variant: 'exits early' })));
  await ask(second, 'after what the store held was dropped');
  expect(second.tuning().kernels.map(({ variant }) => variant)).not.toContain('exits early');
}, 240_000);

test('defaults whose widths give other bits are found; then one width serves all rows, and texts are right, after a prefix hit too', async () => {
  plantDefault(DEFAULT_FAULTS);
  const { storage } = memory();
  const first = await serve('force', storage, () => [], (model) => add(model, 'with the faults'));
  await expect.poll(() => answers.get('with the faults')?.length, { timeout: 60_000 }).toBe(12);
  expect(answers.get('with the faults')).not.toEqual(golden?.greedyIds.slice(0, 12));
  await expect.poll(() => first.invariance().state, { timeout: 100_000 }).toBe('failed');
  const found = first.invariance();
  const kernels = found.state === 'failed' ? found.kernels : [];
  expect([...new Set(kernels.map((name) => kernelOf({ name })))].toSorted()).toEqual(['attention', 'matmul-residual']);
  await ask(first, 'with one width');
  const { prefixCacheHits } = first.engine.stats();
  await ask(first, 'with one width, from the prefix cache');
  expect(first.engine.stats().prefixCacheHits).toBeGreaterThan(prefixCacheHits);
  stop.abort();
  first.destroy();

  const second = await serve('auto', storage, () => []);
  await expect.poll(() => second.invariance(), { timeout: 60_000 }).toEqual(found);
  await ask(second, 'as an earlier load has found');
}, 240_000);

const byText = (a: object, b: object): number => JSON.stringify(a).localeCompare(JSON.stringify(b));

/** A kernel whose variants take these milliseconds a dispatch. */
function withTimes(tunable: LoadedRunner['tunables'][number], msOf: (variant: string) => number): LoadedRunner['tunables'][number] {
  return {
    ...tunable,
    get variant() {
      return tunable.variant;
    },
    get isReady() {
      return tunable.isReady;
    },
    prepare: async (candidates, giveUp) => {
      const trial = await tunable.prepare(candidates, giveUp);
      const { variants, refused } = trial;
      const timed: Trial = {
        variants, refused, clockMs: 0.001,
        time: async (variant, dispatches) => 0.1 + dispatches * msOf(variant),
        agrees: (variant) => trial.agrees(variant),
        use: (variant) => trial.use(variant),
      };
      return timed;
    },
  };
}

function memory() {
  const records = new Map<string, TuningRecord>();
  const storage: TuningStorage = {
    read: async (adapter) => records.get(adapter),
    update: async (adapter, change) => void records.set(adapter, change(records.get(adapter))),
  };
  return { records, storage };
}

/** A worker's model, with only some kernels to tune. */
async function serve(
  tuning: Tuning,
  storage: TuningStorage,
  pick: (tunables: LoadedRunner['tunables']) => LoadedRunner['tunables'] = some,
  prepare: (model: ServedModel) => void = () => {},
): Promise<ServedModel> {
  const loadSome = async (options: LoadRunnerOptions) => {
    const runner = await loadRunner({ ...options, limits, gpu: await sharedGpu() });
    await compileDeferred(runner); // as if requests had missed them
    return { ...runner, tunables: pick(runner.tunables) };
  };
  const loadModel = createModelLoader({ loadRunner: loadSome, baseUrl: '', tuningStorage: () => storage });
  const context: LoadContext = {
    onProgress: () => {}, beginWait: () => () => {}, signal: new AbortController().signal, log: () => {}, clock: () => performance.now(),
    visibleClock: new VisibleClock(() => performance.now(), true),
    reserve: async ({ wantedBytes }) => wantedBytes,
  };
  served = await loadModel({ source: new File([bytes], 'tiny.gguf'), kvCacheBytes: 2 ** 20, tuning }, context);
  prepare(served);
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
  add(model, requestId);
  await expect.poll(() => answers.get(requestId)?.length, { timeout: 60_000 }).toBe(12);
  expect(answers.get(requestId)).toEqual(golden?.greedyIds.slice(0, 12));
}

function add(model: ServedModel, requestId: string): void {
  const sampling = { temperature: 0, seed: 0, maxTokens: 12, stopTokenIds: [] };
  const promptTokenIds = golden?.tokens ?? [];
  model.engine.add({ requestId, sessionId: 's', choice: 0, promptTokenIds, sampling, arrivalTime: 0 });
}

test('a load that is told to tunes while it is idle, and the next one begins with what it found', async () => {
  const { storage } = memory();
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
  expect(first.invariance()).toEqual({ state: 'verified' });
  await ask(first, 'tuned');
  expect(first.counters().bindGroupsCreated).toBe(0);
  stop.abort();
  first.destroy();

  const second = await serve('auto', storage);
  await ask(second, 'again');
  await expect.poll(() => second.tuning().state, { timeout: 60_000 }).toBe('cached');
  expect(second.tuning()).toEqual({ state: 'cached', wallMs: 0, gpuMs: 0, pipelinesCompiled: 0, numKernels: 4, kernels, rejected: [] });
  await ask(second, 'with what was found');
  stop.abort();
  second.destroy();

  const third = await serve('off', storage);
  expect(third.tuning()).toMatchObject({ state: 'off', kernels: [] });
});
