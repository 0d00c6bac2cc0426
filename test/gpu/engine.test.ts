import { afterEach, expect, test } from 'vitest';
import type { EngineRequest, RequestOutput } from '../../src/core/request.ts';
import type { ModelRunner, SchedulerOutput } from '../../src/core/scheduler-output.ts';
import { Engine } from '../../src/engine/engine.ts';
import { type Gpu, openGpu } from '../../src/gpu/device.ts';
import type { LoadedRunner } from '../../src/runner/load-runner.ts';
import { Scheduler } from '../../src/scheduler/scheduler.ts';
import { loadBytes } from '../support/gpu-runner.ts';
import { readTinyGoldens } from '../support/tiny-goldens.ts';
import { tinyModel } from '../support/tiny-model.ts';

// Scheduler, engine and GPU together: whoever shares a step, waits, or is preempted gets what llama.cpp says.

const golden = readTinyGoldens().find(({ model }) => model.preset === 'gqa3' && model.type === 'Q4_1');
if (golden === undefined) throw new Error('no golden');
const BLOCK_BYTES = 2 * 2 * 32 * 16 * 4; // layers, keys and values, head size, tokens, f32

let loaded: LoadedRunner | undefined;
afterEach(() => loaded?.destroy());

/** An engine over a pool of `numBlocks` blocks, whose plans are written down. */
async function startEngine(numBlocks: number, maxStepsPerPlan = 1, maxPlansInFlight = 1, gpu?: Gpu) {
  const limits = { maxNumBatchedTokens: 32, maxNumSeqs: 4, maxStepsPerPlan, maxPlansInFlight };
  loaded = await loadBytes(tinyModel(golden?.model ?? { type: 'Q4_1' }), {
    kvCacheBytes: numBlocks * BLOCK_BYTES,
    limits,
    ...(gpu === undefined ? {} : { gpu }),
  });
  const scheduler = new Scheduler(loaded.scheduler);
  const plans: SchedulerOutput[] = [];
  /** How many plans were in flight when each was executed, itself included. */
  const depths: number[] = [];
  const { runner } = loaded;
  let numInFlight = 0;
  const spy: ModelRunner = {
    execute(plan) {
      plans.push(plan);
      depths.push(++numInFlight);
      return runner.execute(plan).finally(() => numInFlight--);
    },
  };
  // However long a plan takes here: what the limit on its time does is not what these tests are about.
  const engine = new Engine({ scheduler, runner: spy, clock: () => performance.now(), maxPlanMs: Infinity });
  return { engine, scheduler, plans, depths };
}

/** `skip` shortens the golden's prompt, so that requests differ. */
function request(requestId: string, skip: number, maxTokens: number, more: Partial<EngineRequest> = {}): EngineRequest {
  return {
    requestId,
    sessionId: 'tab',
    choice: 0,
    promptTokenIds: golden?.tokens.slice(skip) ?? [],
    sampling: { temperature: 0, seed: 0, maxTokens, stopTokenIds: [] },
    arrivalTime: 0,
    ...more,
  };
}

interface Ended {
  readonly tokenIds: readonly number[];
  readonly finishReason: RequestOutput['finishReason'];
}

/** Runs until that many requests have ended. `onStep` sees each step's outputs as they come. */
async function untilEnded(
  engine: Engine,
  count: number,
  onStep: (outputs: readonly RequestOutput[], steps: number) => void = () => {},
): Promise<Record<string, Ended>> {
  const stop = new AbortController();
  const all: Record<string, Ended> = {};
  let steps = 0;
  for await (const outputs of engine.run(stop.signal)) {
    for (const { requestId, newTokenIds, finishReason } of outputs) {
      all[requestId] = { tokenIds: [...(all[requestId]?.tokenIds ?? []), ...newTokenIds], finishReason };
    }
    onStep(outputs, ++steps);
    if (Object.values(all).filter(({ finishReason }) => finishReason !== undefined).length === count) stop.abort();
  }
  return all;
}

/** What the request gets when nobody else is there, and nothing of its is cached; others will not find it cached. */
async function runAlone(engine: Engine, alone: EngineRequest): Promise<Ended | undefined> {
  engine.add({ ...alone, cacheSalt: 'alone' });
  return (await untilEnded(engine, 1))[alone.requestId];
}

/** For each plan the sessions' requests in it. */
function together(plans: readonly SchedulerOutput[], ...requestIds: readonly string[]): SchedulerOutput[] {
  return plans.filter(({ requests }) => requestIds.every((id) => requests.some(({ requestId }) => requestId === id)));
}

test('requests of two tabs share steps, one joins late, and each gets what it gets alone', async () => {
  const { engine, scheduler, plans } = await startEngine(64);
  const requests = [
    request('a', 0, 64),
    request('b', 9, 40, {
      sessionId: 'other tab',
      sampling: { temperature: 0.8, seed: 5, maxTokens: 40, stopTokenIds: [] },
    }),
    request('late', 21, 30, { sessionId: 'other tab' }),
  ];
  const alone = [];
  for (const each of requests) alone.push(await runAlone(engine, each));
  expect(alone[0]).toEqual({ tokenIds: golden.greedyIds, finishReason: 'length' });
  plans.length = 0;

  for (const each of requests.slice(0, 2)) engine.add(each);
  const ended = await untilEnded(engine, 3, (_, steps) => {
    if (steps === 12) for (const each of requests.slice(2)) engine.add(each);
  });
  expect(requests.map(({ requestId }) => ended[requestId])).toEqual(alone);

  expect(together(plans, 'a', 'b').length).toBeGreaterThan(30);
  // The late one's prompt was computed beside tokens that the others decoded.
  const joined = together(plans, 'a', 'b', 'late')[0];
  expect(joined?.requests.map(({ tokenIds }) => tokenIds.length)).toEqual([1, 1, 19]);
  expect(Math.max(...plans.map(({ totalNumScheduledTokens }) => totalNumScheduledTokens))).toBeLessThanOrEqual(32);
  scheduler.checkIntegrity();
  expect(engine.stats()).toMatchObject({ requestsRunning: 0, kvBlocksUsed: 0, preemptions: 0 });
});

test('a pool too small for all: who is preempted and computed again gets the same tokens', async () => {
  // Each grows to 7 blocks.
  const { engine, plans } = await startEngine(9);
  const requests = [request('a', 0, 64), request('b', 3, 64), request('c', 5, 64)];
  const alone = [];
  for (const each of requests) alone.push(await runAlone(engine, each));
  expect(engine.stats().preemptions).toBe(0);
  plans.length = 0;
  for (const each of requests) engine.add(each);
  const ended = await untilEnded(engine, 3);
  expect(requests.map(({ requestId }) => ended[requestId])).toEqual(alone);
  expect(ended['a']?.tokenIds).toEqual(golden.greedyIds);
  expect(engine.stats().preemptions).toBeGreaterThan(0);
  expect(together(plans, 'a', 'b').length).toBeGreaterThan(0);
  // It decoded, was absent, and came back.
  const fed = plans.map(({ requests: [...all] }) => all.find((each) => each.requestId === 'b')?.tokenIds.length ?? 0);
  expect(fed.join(' ')).toMatch(/\b1( 0)+ [1-9]/);
  expect(engine.stats().kvBlocksUsed).toBe(0);
});

test('a prefix that is cached is not computed again, and gives the same tokens', async () => {
  const { engine, plans } = await startEngine(64);
  const alone = await runAlone(engine, request('a', 0, 64));
  engine.add(request('cold', 0, 64));
  const cold = await untilEnded(engine, 1);
  plans.length = 0;
  engine.add(request('warm', 0, 64, { sessionId: 'other tab' }));
  const warm = await untilEnded(engine, 1);
  expect([cold['cold'], warm['warm']]).toEqual([alone, alone]);
  const numTokens = golden.tokens.length;
  const numCached = Math.floor((numTokens - 1) / 16) * 16;
  expect(numCached).toBeGreaterThan(16);
  expect(plans[0]?.requests[0]).toMatchObject({ startPosition: numCached, tokenIds: { length: numTokens - numCached } });
  expect(engine.stats()).toMatchObject({ prefixCacheQueries: 3 * numTokens, prefixCacheHits: numCached });
});

test('plans of several steps change nothing, and stop tokens end them', async () => {
  const { engine, plans } = await startEngine(64, 4);
  const stop = golden.greedyIds[20] ?? -1;
  const untilStop = golden.greedyIds.slice(0, golden.greedyIds.indexOf(stop) + 1);
  engine.add(request('a', 0, 64));
  engine.add(request('b', 0, 64, { sampling: { temperature: 0, seed: 0, maxTokens: 64, stopTokenIds: [stop] } }));
  expect(await untilEnded(engine, 2)).toEqual({
    a: { tokenIds: golden.greedyIds, finishReason: 'length' },
    b: { tokenIds: untilStop, finishReason: 'stop' },
  });
  expect(plans.filter(({ numSteps }) => numSteps === 4).length).toBeGreaterThan(10);
});

test('plans in flight behind each other give what plans one by one give', async () => {
  const stop = golden.greedyIds[40] ?? -1;
  const seeded = { temperature: 0.8, seed: 5, maxTokens: 60, stopTokenIds: [], repetitionPenalty: 1.3, topP: 0.9 };
  const requests = [
    request('a', 0, 64, { sampling: { temperature: 0, seed: 0, maxTokens: 64, stopTokenIds: [stop] } }),
    request('gone', 7, 64),
    request('b', 3, 60, { sampling: seeded, sessionId: 'other tab' }),
    request('c', 5, 64),
  ];
  const run = async (maxPlansInFlight: number) => {
    // Too small for all, so that there is preemption.
    const { engine, scheduler, depths } = await startEngine(9, 2, maxPlansInFlight);
    for (const each of requests) engine.add(each);
    const { gone, ...ended } = await untilEnded(engine, requests.length, (_, steps) => {
      if (steps === 8) engine.abort('gone');
      scheduler.checkIntegrity();
    });
    const { preemptions } = engine.stats();
    loaded?.destroy();
    return { ended, gone, preemptions, depth: Math.max(...depths), numAhead: depths.filter((depth) => depth > 1).length };
  };
  const one = await run(1);
  expect(one).toMatchObject({ gone: { finishReason: 'abort' }, depth: 1 });
  expect(one.ended['a']?.tokenIds).toEqual(golden.greedyIds.slice(0, golden.greedyIds.indexOf(stop) + 1));
  const three = await run(3);
  expect(three.ended).toEqual(one.ended);
  expect(three).toMatchObject({ gone: { finishReason: 'abort' }, depth: 3 });
  expect(three.numAhead).toBeGreaterThan(10);
  expect(three.preemptions).toBeGreaterThan(0);
});

test('a device lost under plans in flight: what was read before is right, and another device goes on from there', async () => {
  const { engine, depths } = await startEngine(64, 1, 2, await openGpu());
  engine.add(request('a', 0, 64));
  const outputTokenIds: number[] = [];
  const lost = untilEnded(engine, 1, (outputs, steps) => {
    outputTokenIds.push(...outputs.flatMap(({ newTokenIds }) => newTokenIds));
    if (steps === 12) loaded?.loseDevice();
  });
  await expect(lost).rejects.toMatchObject({ code: 'closed' }); // destroyed, which is all that a page can do to it
  expect(depths.at(-1)).toBe(2);
  expect(outputTokenIds.length).toBeGreaterThan(9);
  expect(outputTokenIds).toEqual(golden.greedyIds.slice(0, outputTokenIds.length));
  const next = await startEngine(64, 1, 2);
  next.engine.add(request('a', 0, 64, { outputTokenIds }));
  const rest = golden.greedyIds.slice(outputTokenIds.length);
  expect(await untilEnded(next.engine, 1)).toEqual({ a: { tokenIds: rest, finishReason: 'length' } });
});

// Greedy repeats itself here, and penalties show.
const PENALTIES = { temperature: 0, seed: 0, maxTokens: 40, stopTokenIds: [], repetitionPenalty: 1.3, frequencyPenalty: 0.7 };

test('penalties count the tokens sampled within a plan of several steps, and those of cached blocks', async () => {
  const first = await startEngine(64, 1);
  const penalised = request('a', 0, 40, { sampling: PENALTIES });
  const plain = await runAlone(first.engine, request('plain', 0, 40));
  const alone = await runAlone(first.engine, penalised);
  expect(alone?.tokenIds).toHaveLength(40);
  expect(alone).not.toEqual(plain);
  expect(new Set(alone?.tokenIds).size).toBeGreaterThan(new Set(plain?.tokenIds).size);
  loaded?.destroy();

  const { engine, plans } = await startEngine(64, 4);
  expect(await runAlone(engine, penalised)).toEqual(alone);
  expect(plans.filter(({ numSteps }) => numSteps === 4).length).toBeGreaterThan(8);
  // What its own prompt leaves in the cache is not fed to the GPU again, but counts.
  for (const requestId of ['cold', 'warm']) {
    engine.add({ ...penalised, requestId });
    expect(await untilEnded(engine, 1)).toEqual({ [requestId]: alone });
  }
  expect(engine.stats().prefixCacheHits).toBeGreaterThan(16);
});

test('a penalised request that is preempted and computed again gets the same tokens', async () => {
  const { engine } = await startEngine(9, 4);
  const requests = [0, 3, 5].map((skip) => request(`${skip}`, skip, 64, { sampling: { ...PENALTIES, maxTokens: 64 } }));
  const alone = [];
  for (const each of requests) alone.push(await runAlone(engine, each));
  for (const each of requests) engine.add(each);
  const ended = await untilEnded(engine, 3);
  expect(engine.stats().preemptions).toBeGreaterThan(0);
  expect(requests.map(({ requestId }) => ended[requestId])).toEqual(alone);
});

test('the choices of a completion share its prompt, and each gets what it gets alone', async () => {
  const { engine, plans } = await startEngine(64, 4);
  const sampling = { temperature: 1.2, seed: 9, maxTokens: 24, stopTokenIds: [], topP: 0.9, presencePenalty: 0.5 };
  const choices = [0, 1, 2].map((choice) => request(`c:${choice}`, 0, 24, { sampling, choice, completionId: 'c' }));
  const alone = [];
  for (const each of choices) alone.push(await runAlone(engine, each));
  expect(new Set(alone.map((each) => String(each?.tokenIds))).size).toBe(3);
  plans.length = 0;
  for (const each of choices) engine.add(each);
  const ended = await untilEnded(engine, 3);
  expect(choices.map(({ requestId }) => ended[requestId])).toEqual(alone);
  const numPrompt = golden.tokens.length;
  const numOwn = numPrompt - Math.floor((numPrompt - 1) / 16) * 16;
  const fed = plans.flatMap(({ requests }) => requests).filter(({ startPosition }) => startPosition < numPrompt);
  expect(fed.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0)).toBe(numPrompt + 2 * numOwn);
});

test('an abort frees the blocks at once, and the others go on as if it had never been', async () => {
  const { engine, scheduler } = await startEngine(64);
  engine.add(request('a', 0, 64));
  engine.add(request('gone', 2, 400, { sessionId: 'closed tab' }));
  let usedBefore = 0;
  const ended = await untilEnded(engine, 2, (_, steps) => {
    if (steps !== 10) return;
    usedBefore = engine.stats().kvBlocksUsed;
    engine.abortSession('closed tab');
    expect(engine.stats()).toMatchObject({ requestsRunning: 1 });
    expect(engine.stats().kvBlocksUsed).toBeLessThan(usedBefore);
    scheduler.checkIntegrity();
  });
  expect(usedBefore).toBeGreaterThan(4);
  expect(ended['gone']?.finishReason).toBe('abort');
  expect(ended['a']?.tokenIds).toEqual(golden.greedyIds);
  expect(engine.stats()).toMatchObject({ requestsRunning: 0, kvBlocksUsed: 0 });
});

test('reaching the context while decoding ends a request by length; a longer prompt is refused', async () => {
  const { engine } = await startEngine(4); // 64 tokens
  const ended = await runAlone(engine, request('a', 0, 1000));
  expect(ended).toEqual({ tokenIds: golden.greedyIds.slice(0, 24), finishReason: 'length' });
  const promptTokenIds = Array.from({ length: 64 }, () => 5);
  expect(() => engine.add(request('b', 0, 1, { promptTokenIds }))).toThrow(
    expect.objectContaining({ code: 'context_length_exceeded' }),
  );
});
