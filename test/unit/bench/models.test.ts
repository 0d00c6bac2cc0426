import { describe, expect, test } from 'vitest';
import type { SchedulerOutput } from '../../../src/core/scheduler-output.ts';
import type { AdapterLimits } from '../../../src/core/profile.ts';
import { readModelFile } from '../../../src/formats/gguf.ts';
import { readModelConfig } from '../../../src/models/architectures.ts';
import type { LoadedRunner } from '../../../src/runner/load-runner.ts';
import { Budget } from '../../../demo/bench/models/budget.ts';
import { checkGolden, GOLDEN, hasGoldens } from '../../../demo/bench/models/check-golden.ts';
import { runsOf } from '../../../demo/bench/models/load-model.ts';
import { measureModel } from '../../../demo/bench/models/measure-model.ts';
import { ModelRuns } from '../../../demo/bench/models/model-runs.ts';
import { modelSizesFor } from '../../../demo/bench/models/sizes.ts';
import { StepWork } from '../../../demo/bench/models/step-work.ts';
import { SYNTHETIC, SYNTHETIC_SHAPES, syntheticModel } from '../../../demo/bench/models/synthetic-model.ts';
import { RowList } from '../../../demo/bench/rows.ts';
import { SMOLLM2_GOLDENS } from '../../support/smollm2-goldens.ts';

/** A runner whose tokens follow from the token fed and its position; `steal` makes them others. */
function fakeLoaded(numBlocks = 64, steal: (slot: number) => number = () => 0) {
  const plans: SchedulerOutput[] = [];
  const counters = { steps: 0, dispatches: 0, submits: 0, bindGroupsCreated: 0, bytesReadBack: 0 };
  const execute = async (plan: SchedulerOutput) => {
    plans.push(plan);
    counters.steps += plan.numSteps;
    counters.dispatches += 7 * plan.numSteps;
    counters.submits += plan.numSteps;
    const sampledTokenIds = new Map(
      plan.requests.map(({ requestId, slot, tokenIds, startPosition }) => {
        const fed = (tokenIds.at(-1) ?? 0) + startPosition + tokenIds.length;
        return [requestId, Array.from({ length: plan.numSteps }, (_, i) => fed + i + steal(slot))] as const;
      }),
    );
    return { sampledTokenIds };
  };
  const scheduler = { blockSize: 16, numBlocks, maxNumSeqs: 4, maxNumBatchedTokens: 32, maxModelLen: 512, maxStepsPerPlan: 2 };
  const device = {
    createBuffer: () => ({ destroy: () => {} }),
    createCommandEncoder: () => ({ copyBufferToBuffer: () => {}, finish: () => ({}) }),
    queue: { submit: () => {}, onSubmittedWorkDone: async () => {} },
  };
  const runner = { execute, state: { cache: [] } };
  const parts = { scheduler, runner, device, config: { vocabSize: 1000 }, counters: () => ({ ...counters }) };
  return { loaded: parts as unknown as LoadedRunner, plans };
}

describe('timed runs', () => {
  test('feed a prompt in chunks, and decode from its end in plans of several steps', async () => {
    const { loaded, plans } = fakeLoaded();
    const runs = new ModelRuns(loaded, 4, 80);
    await runs.prefill(72);
    expect(plans.map(({ requests: [request] }) => [request?.startPosition, request?.tokenIds.length, request?.samples])).toEqual([
      [0, 32, false],
      [32, 32, false],
      [64, 8, true],
    ]);
    plans.length = 0;
    await runs.decode(3, 72, 5);
    expect(plans.map(({ numSteps, requests }) => [numSteps, requests.length, requests[2]?.startPosition])).toEqual([
      [2, 3, 72],
      [2, 3, 74],
      [1, 3, 76],
    ]);
    const tables = plans[0]?.requests.map(({ blockTable }) => blockTable) ?? [];
    expect(new Set(tables.flat()).size).toBe(3 * 5); // 80 tokens each, no block twice
  });

  test('have to sample what the first one did, however many run at once', async () => {
    let stolen = 0;
    const { loaded } = fakeLoaded(64, (slot) => (slot === 3 ? stolen : 0));
    const runs = new ModelRuns(loaded, 4, 80);
    await runs.decode(1, 64, 4);
    await runs.decode(4, 64, 8);
    stolen = 1;
    await runs.decode(3, 64, 8);
    await expect(runs.decode(4, 64, 8)).rejects.toThrow(/from a context of 64: the token at 1 is \d+, and was \d+/);
  });

  test('are of as many sequences as the KV cache holds', () => {
    const room = (numBlocks: number, tokens: number) => {
      const { loaded } = fakeLoaded(numBlocks);
      return runsOf({ loaded } as Parameters<typeof runsOf>[0], 4, tokens)?.sequences;
    };
    expect(room(64, 128)).toBe(4);
    expect(room(20, 128)).toBe(2);
    expect(room(7, 128)).toBeUndefined();
    expect(room(64, 513)).toBeUndefined(); // a sequence has 512 at most
  });
});

describe('rows', () => {
  const LIMITS = { readGBps: 100, f32Gflops: 1e6 } as AdapterLimits;
  const sizes = { contexts: [64, 256], batches: [1, 4], decodeTokens: 4, repeats: 2, seconds: 60, shapes: [], shapesLeftOut: [] };

  async function measure(numBlocks: number, budget: Budget) {
    const file = await readModelFile(syntheticModel(SYNTHETIC_SHAPES['135m']));
    const work = new StepWork(file, readModelConfig(file), false);
    const { loaded } = fakeLoaded(numBlocks);
    const list = new RowList('models');
    const subject = { loaded, work, loadMs: 1, fileBytes: 1 };
    await measureModel({ subject, name: 'm', sizes, limits: LIMITS, budget, list });
    return { list, work };
  }

  test('say what prompts and decode steps take, and how near that is to the ceilings', async () => {
    const { list, work } = await measure(128, new Budget(60));
    expect(list.omitted).toEqual([]);
    const row = (metric: string, batch: number) =>
      list.rows.find((each) => each.metric === metric && each.dimensions['context'] === 256 && each.dimensions['batch'] === batch);
    const speed = row('decode', 4);
    const step = row('decode step', 4);
    expect(speed).toMatchObject({ part: 'models', unit: 'tok/s', better: 'higher', dimensions: { model: 'm', batch: 4 } });
    expect(step?.samples).toHaveLength(2);
    expect(speed?.samples).toEqual(step?.samples.map((ms) => (4 / ms) * 1000));
    const [a = 0, b = 0] = step?.samples ?? [];
    const gbps = work.decodeStep(4, 256).bytes / ((a + b) / 2) / 1e6;
    expect((speed?.roofline ?? NaN) / (gbps / 100)).toBeCloseTo(1, 9);
    expect(row('dispatches a step', 4)?.samples).toEqual([7]);
    expect(row('submits a step', 1)?.samples).toEqual([1]);
    expect(list.rows.filter(({ metric }) => metric === 'prefill')).toHaveLength(2);
  });

  test('that there is no room or no time for are named', async () => {
    const { list } = await measure(40, new Budget(60));
    expect(list.omitted).toEqual([{ what: 'm, context 256, 4 at once', why: 'the KV cache holds 2' }]);
    const late = await measure(128, new Budget(0));
    expect(late.list.rows).toEqual([]);
    expect(late.list.omitted.map(({ what }) => what)).toEqual(['m, context 64', 'm, context 256']);
  });
});

test('a software adapter gets no large model and no long context unless asked', () => {
  expect(modelSizesFor(true, { quick: true })).toMatchObject({ shapes: [], shapesLeftOut: SYNTHETIC, contexts: [128] });
  expect(modelSizesFor(true, { quick: false }).shapes).toEqual(['135m']);
  expect(modelSizesFor(true, { quick: true, shapes: ['1b'] })).toMatchObject({ shapes: ['1b'] });
  expect(modelSizesFor(false, { quick: false })).toMatchObject({
    shapes: SYNTHETIC,
    contexts: [128, 1024, 4096],
    batches: [1, 2, 4, 8, 16],
  });
  expect(() => modelSizesFor(false, { quick: false, shapes: ['70b'] })).toThrow('no shape "70b"');
});

const golden = SMOLLM2_GOLDENS.prompts.find(({ name }) => name === GOLDEN.name);

test('the golden answer that ships is the beginning of llama.cpp’s to a golden chat', () => {
  const { promptTokenIds, answer } = GOLDEN;
  expect({ promptTokenIds, answer }).toEqual({ promptTokenIds: golden?.promptTokenIds, answer: golden?.greedyIds.slice(0, 16) });
});

test('an answer that is not llama.cpp’s fails, and says when', async () => {
  const { promptTokenIds = [], greedyIds = [] } = golden ?? {};
  const answering = (ids: readonly number[]): LoadedRunner => {
    const { loaded } = fakeLoaded();
    const execute = async ({ requests }: SchedulerOutput) => ({
      sampledTokenIds: new Map(
        requests.filter(({ samples }) => samples).map(({ requestId, startPosition, tokenIds }) => {
          return [requestId, [ids[startPosition + tokenIds.length - promptTokenIds.length] ?? NaN]] as const;
        }),
      ),
    });
    return { ...loaded, runner: { execute } } as unknown as LoadedRunner;
  };
  await checkGolden(answering(greedyIds), 'before');
  const wrong = answering(greedyIds.with(9, 1));
  await expect(checkGolden(wrong, 'after it was timed')).rejects.toThrow('after it was timed, the answer to system-message is');
});

test('golden answers are of the file by its name', () => {
  expect(hasGoldens(`http://127.0.0.1:1/models/${SMOLLM2_GOLDENS.model.file}?x=1`)).toBe(true);
  expect(hasGoldens('http://127.0.0.1:1/models/babble.gguf')).toBe(false);
});
