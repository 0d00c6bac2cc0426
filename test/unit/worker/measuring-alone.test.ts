import { expect, test } from 'vitest';
import type { TabserveError } from '../../../src/core/errors.ts';
import { VisibleClock } from '../../../src/core/visible-clock.ts';
import type { Tunable } from '../../../src/tuning/tunable.ts';
import { readModelConfig } from '../../../src/models/architectures.ts';
import type { LoadRunnerOptions } from '../../../src/runner/load-runner.ts';
import { createModelLoader } from '../../../src/worker/load-model.ts';
import type { ServedModel } from '../../../src/worker/served-model.ts';
import { FAKE_LIMITS, noProfiler } from '../../support/fake-profiler.ts';
import { writeGguf } from '../../support/gguf-writer.ts';
import { tinyModelContents } from '../../support/tiny-model.ts';

const source = new File([writeGguf(tinyModelContents({ type: 'Q8_0' }))], 'tiny.gguf', { lastModified: 1 });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Work = 'step' | 'load' | 'compile' | 'trial' | 'limits';
const MEASURES: readonly Work[] = ['trial', 'limits'];

/** A GPU that several models are loaded on, and what was under way at the same time though one of the two measures. */
class SharedGpu {
  readonly seen = new Map<Work, number>();
  readonly disturbed = new Set<string>();
  /** The kinds of work that have ended, in order. */
  readonly ended: Work[] = [];
  readonly #underWay: Work[] = [];
  readonly load = createModelLoader({
    loadRunner: (options) => this.#loadRunner(options), baseUrl: '', tuningStorage: () => undefined,
  });

  async during<T>(work: Work, result: T): Promise<T> {
    for (const other of this.#underWay) {
      if (MEASURES.includes(work) || MEASURES.includes(other)) this.disturbed.add(`${other} and ${work}`);
    }
    this.#underWay.push(work);
    for (let i = 0; i < 3; i++) await turn();
    this.#underWay.splice(this.#underWay.indexOf(work), 1);
    this.ended.push(work);
    this.seen.set(work, (this.seen.get(work) ?? 0) + 1);
    return result;
  }

  /** Loads a model that answers. */
  async start(visibleClock = new VisibleClock(() => performance.now(), true)): Promise<ServedModel> {
    const context = {
      visibleClock,
      onProgress: () => {}, beginWait: () => () => {}, signal: new AbortController().signal, log: () => {},
      clock: () => performance.now(), reserve: async () => 4096,
    };
    const model = await this.load({ source, tuning: 'force' }, context);
    void (async () => {
      for await (const _ of model.engine.run(new AbortController().signal));
    })();
    return model;
  }

  async #loadRunner({ file }: LoadRunnerOptions) {
    const scheduler = {
      blockSize: 16, numBlocks: 8, maxNumBatchedTokens: 32, maxNumSeqs: 4, maxModelLen: 128, maxStepsPerPlan: 1,
    };
    const kvCache = { kvCacheDtype: 'f32', numerics: 'f32', kvCacheBytes: 4096, contextCut: undefined, kvCacheCut: undefined } as const;
    const runner = {
      execute: ({ requests }: { readonly requests: readonly { readonly requestId: string }[] }) =>
        this.during('step', { sampledTokenIds: new Map(requests.map(({ requestId }) => [requestId, [68]])) }),
    };
    return this.during('load', {
      runner, config: readModelConfig(file), scheduler, ...kvCache, gpuBytes: 4096,
      adapter: { vendor: '', architecture: '', device: '', description: '', isSoftware: false, features: [] },
      profiler: { ...noProfiler, measureLimits: () => this.during('limits', FAKE_LIMITS) },
      counters: () => ({ steps: 0, dispatches: 0, submits: 0, bindGroupsCreated: 0, bytesReadBack: 0 }),
      lost: new Promise<TabserveError>(() => {}), loseDevice: () => {}, destroy: () => {},
      tunables: [this.#tunable('a'), this.#tunable('b')],
      deferredKernels: [8, 4, 2].map((tokens) => ({ tokens, numMissed: Infinity, compile: () => this.during('compile', undefined) })),
    });
  }

  #tunable(key: string): Tunable {
    const trial = {
      variants: ['default', 'fast'], refused: [], clockMs: 0.001,
      agrees: async () => true,
      use: (variant: string) => void (tunable.variant = variant),
      time: (variant: string, dispatches: number) => this.during('trial', 0.4 + dispatches * (variant === 'fast' ? 0.1 : 0.2)),
    };
    const step = { tokens: 1, bytes: 1 };
    const tunable = { key, name: key, tokens: 1, trialStep: step, variant: 'default', isReady: true, candidates: ['fast'], prepare: async () => trial };
    return tunable;
  }
}

test('whatever measures is alone on the GPU, whichever of the worker’s models measures, answers or loads', async () => {
  const gpu = new SharedGpu();
  const [one, two] = [await gpu.start(), await gpu.start()];
  const answered: Promise<void>[] = [];
  const ask = (model: ServedModel, requestId: string): void => {
    const sampling = { temperature: 0, seed: 1, maxTokens: 9, stopTokenIds: [] };
    model.engine.add({ requestId, sessionId: 's', choice: 0, promptTokenIds: [1, 2], sampling, arrivalTime: 0 });
    answered.push(waitFor(() => model.engine.stats().requestsRunning + model.engine.stats().requestsWaiting === 0));
  };
  for (let i = 0; i < 4; i++) await turn();
  ask(two, 'while kernels are compiled');
  const limits = [one.profiler.limits(), two.profiler.limits()];
  await waitFor(() => (gpu.seen.get('trial') ?? 0) > 4);
  ask(one, 'while kernels are tried');
  const third = await gpu.start();
  limits.push(third.profiler.limits());
  ask(two, 'while limits are measured');
  expect(await Promise.all(limits)).toEqual([FAKE_LIMITS, FAKE_LIMITS, FAKE_LIMITS]);
  await Promise.all(answered);
  await waitFor(() => [one, two, third].every((model) => model.tuning().state === 'done'));
  expect([...gpu.disturbed]).toEqual([]);
  expect(Object.fromEntries(gpu.seen)).toMatchObject({ load: 3, compile: 9, limits: 3, step: 27, trial: expect.any(Number) });
  for (const model of [one, two, third]) expect(model.tuning().kernels.map(({ variant }) => variant)).toEqual(['fast', 'fast']);
  for (const model of [one, two, third]) model.destroy();
});

test('kernels are tried once the deferred ones are compiled', async () => {
  const gpu = new SharedGpu();
  const model = await gpu.start();
  await waitFor(() => model.tuning().state === 'done');
  expect(gpu.ended.filter((work) => work !== 'load').slice(0, 4)).toEqual(['compile', 'compile', 'compile', 'trial']);
  expect(model.kernelsToCompile()).toBe(0);
  model.destroy();
});

test('while all its tabs are hidden a model compiles kernels and tries none; others try theirs', async () => {
  const gpu = new SharedGpu();
  const clock = new VisibleClock(() => performance.now());
  const model = await gpu.start(clock);
  await waitFor(() => model.kernelsToCompile() === 0);
  const other = await gpu.start();
  await waitFor(() => other.tuning().state === 'done');
  expect(model.tuning()).toMatchObject({ state: 'idle', gpuMs: 0, pipelinesCompiled: 0 });
  clock.setVisible(true);
  await waitFor(() => model.tuning().state === 'done');
  for (const each of [model, other]) each.destroy();
});

async function waitFor(isSo: () => boolean): Promise<void> {
  while (!isSo()) await turn();
}
