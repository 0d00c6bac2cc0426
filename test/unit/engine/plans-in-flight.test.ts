import { describe, expect, test } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import type { EngineRequest, RequestOutput } from '../../../src/core/request.ts';
import type { SchedulerConfig } from '../../../src/core/scheduler-output.ts';
import { Engine } from '../../../src/engine/engine.ts';
import { Scheduler } from '../../../src/scheduler/scheduler.ts';
import { createRandom } from '../../support/random.ts';
import { runAlone } from '../scheduler/fake-runner.ts';
import { CONFIG, makeRequest, randomRequest } from '../scheduler/requests.ts';
import { settle, VirtualGpu } from './virtual-gpu.ts';

const OVERLAPPED: SchedulerConfig = { ...CONFIG, maxPlansInFlight: 2 };
const LONG: SchedulerConfig = { ...OVERLAPPED, numBlocks: 600, maxModelLen: 2000, maxNumBatchedTokens: 256, maxStepsPerPlan: 4 };

/** An engine that runs on a virtual GPU, with what it has yielded so far. */
function start(gpu: VirtualGpu, config: SchedulerConfig, maxPlanMs?: number) {
  const scheduler = new Scheduler(config);
  const engine = new Engine({ scheduler, runner: gpu, clock: () => gpu.now, maxPlanMs });
  const controller = new AbortController();
  const yielded: RequestOutput[] = [];
  const run = async (): Promise<void> => {
    for await (const outputs of engine.run(controller.signal)) yielded.push(...outputs);
  };
  const done = run();
  const failure = done.then(() => undefined, (error: unknown) => error);
  const stop = async (): Promise<void> => {
    controller.abort();
    await done;
  };
  const tokensOf = (id: string): number[] => yielded.flatMap(({ requestId, newTokenIds }) => (requestId === id ? newTokenIds : []));
  const endsOf = (id: string): unknown[] => yielded.flatMap((o) => (o.requestId === id && o.finishReason ? [o.finishReason] : []));
  return { engine, scheduler, yielded, failure, stop, tokensOf, endsOf };
}

describe('plans in flight', () => {
  test.each([1, 2, 3])('up to %i give the tokens that there are without: aborts, deadlines, preemption, stops and all', async (max) => {
    for (let seed = 0; seed < 12; seed++) {
      const random = createRandom(seed);
      const config = { ...CONFIG, numBlocks: 17 + random.below(12), maxStepsPerPlan: 1 + random.below(3), maxPlansInFlight: max };
      const gpu = new VirtualGpu(config, ({ numSteps }) => numSteps * (1 + random.below(9)), random.below(2) * 20);
      const { engine, scheduler, stop, tokensOf, endsOf } = start(gpu, config);
      const requests: EngineRequest[] = [];
      for (let i = 0; i < 25; i++) {
        const deadline = random.below(5) === 0 ? gpu.now + 50 + random.below(200) : undefined;
        const supersede = random.below(6) === 0 ? 'draft' : undefined;
        requests.push({ ...randomRequest(random, `r${i}`, config.maxModelLen, gpu.now), deadline, supersede });
        engine.add(requests[i] ?? makeRequest('none', 1));
        await settle();
        for (let j = random.below(12); j > 0 && gpu.numInFlight > 0; j--) await gpu.advance();
        if (random.below(6) === 0) engine.abort(`r${random.below(i + 1)}`);
        scheduler.checkIntegrity();
      }
      await gpu.drain();
      await stop();
      for (const request of requests) {
        const { requestId } = request;
        const { outputTokenIds, finishReason } = runAlone(request, config.maxModelLen);
        const ended = endsOf(requestId);
        expect(ended).toHaveLength(1);
        const tokens = tokensOf(requestId);
        const isCut = ended[0] === 'abort';
        expect(tokens).toEqual(isCut ? outputTokenIds.slice(0, tokens.length) : outputTokenIds);
        if (!isCut) expect(ended).toEqual([finishReason]);
      }
      expect(engine.stats()).toMatchObject({ requestsRunning: 0, requestsWaiting: 0, kvBlocksUsed: 0 });
      expect(Math.max(...gpu.depths)).toBe(max);
    }
  });

  test('a request that comes waits for those in flight, and no longer', async () => {
    const gpu = new VirtualGpu(OVERLAPPED, () => 10);
    const { engine, stop } = start(gpu, OVERLAPPED);
    engine.add(makeRequest('a', 3, { maxTokens: 40 }));
    await settle();
    for (let i = 0; i < 5; i++) await gpu.advance();
    expect(gpu.numInFlight).toBe(2);
    const numPlans = gpu.fake.plans.length;
    engine.add(makeRequest('b', 7));
    await gpu.advance();
    expect(gpu.fake.plans).toHaveLength(numPlans);
    await gpu.advance();
    expect(gpu.fake.plans[numPlans]?.requests.map(({ requestId }) => requestId)).toEqual(['a', 'b']);
    await gpu.drain();
    await stop();
  });

  test('a request that waits for room waits for the plan in which that ends, and the one behind it', async () => {
    const config = { ...OVERLAPPED, maxNumSeqs: 2 };
    const request = makeRequest('a', 5, { maxTokens: 30 });
    const stopToken = runAlone(request, 64).outputTokenIds[6] ?? -1;
    const gpu = new VirtualGpu(config, () => 10);
    const { engine, stop, endsOf } = start(gpu, config);
    engine.add({ ...request, sampling: { ...request.sampling, stopTokenIds: [stopToken] } });
    engine.add(makeRequest('b', 3, { maxTokens: 40 }));
    engine.add(makeRequest('c', 3));
    await settle();
    await gpu.advance();
    expect(gpu.numInFlight).toBe(2); // nobody could come in meanwhile
    while (endsOf('a').length === 0) await gpu.advance();
    expect(gpu.numInFlight).toBe(1);
    await gpu.advance();
    expect(gpu.fake.plans.at(-1)?.requests.map(({ requestId }) => requestId)).toEqual(['b', 'c']);
    await gpu.drain();
    await stop();
  });

  test('a stop token ends a request though the next plan computes for it; nobody gets its tokens', async () => {
    const request = makeRequest('a', 5, { maxTokens: 30 });
    const stopToken = runAlone(request, 64).outputTokenIds[6] ?? -1;
    const stopping = { ...request, sampling: { ...request.sampling, stopTokenIds: [stopToken] } };
    const gpu = new VirtualGpu(OVERLAPPED, () => 10);
    const { engine, stop, tokensOf, endsOf } = start(gpu, OVERLAPPED);
    engine.add(stopping);
    await settle();
    while (endsOf('a').length === 0) await gpu.advance();
    expect(tokensOf('a')).toEqual(runAlone(stopping, 64).outputTokenIds);
    expect(gpu.numInFlight).toBe(1);
    // The GPU still writes to its blocks.
    expect(engine.stats()).toMatchObject({ requestsRunning: 0, kvBlocksUsed: 3 });
    await gpu.drain();
    expect(engine.stats().kvBlocksUsed).toBe(0);
    expect(endsOf('a')).toEqual(['stop']);
    expect(tokensOf('a')).toEqual(runAlone(stopping, 64).outputTokenIds);
    await stop();
  });

  test('an abort ends a request at once; its blocks and its id are free when the last plan with it is done', async () => {
    const gpu = new VirtualGpu(OVERLAPPED, () => 10);
    const { engine, stop, tokensOf, endsOf } = start(gpu, OVERLAPPED);
    engine.add(makeRequest('a', 3, { maxTokens: 40 }));
    engine.add(makeRequest('b', 3, { maxTokens: 40 }));
    await settle();
    for (let i = 0; i < 5; i++) await gpu.advance();
    const { kvBlocksUsed } = engine.stats();
    const before = tokensOf('a').length;
    engine.abort('a');
    await gpu.advance();
    expect(endsOf('a')).toEqual(['abort']);
    expect(engine.stats().kvBlocksUsed).toBe(kvBlocksUsed);
    expect(() => engine.add(makeRequest('a', 3))).toThrow(/already/);
    await gpu.advance();
    expect(engine.stats().kvBlocksUsed).toBeLessThan(kvBlocksUsed);
    await gpu.drain();
    expect(tokensOf('a')).toHaveLength(before);
    expect(tokensOf('b')).toEqual(runAlone(makeRequest('b', 3, { maxTokens: 40 }), 64).outputTokenIds);
    await stop();
  });

  test('ends after the plan under way when the signal aborts; a later run takes up those behind it', async () => {
    const gpu = new VirtualGpu(OVERLAPPED, () => 10);
    const { engine, stop, tokensOf } = start(gpu, OVERLAPPED);
    const request = makeRequest('a', 3, { maxTokens: 9 });
    engine.add(request);
    await settle();
    await gpu.advance();
    const stopped = stop();
    await gpu.advance();
    await stopped;
    expect(gpu.numInFlight).toBe(1);
    const rest: number[] = [];
    const again = new AbortController();
    const done = (async () => {
      for await (const outputs of engine.run(again.signal)) rest.push(...outputs.flatMap((o) => o.newTokenIds));
    })();
    await gpu.drain();
    again.abort();
    await done;
    expect([...tokensOf('a'), ...rest]).toEqual(runAlone(request, 64).outputTokenIds);
  });

  test('when the device is lost, requests keep the tokens that were read, and go on from there elsewhere', async () => {
    const gpu = new VirtualGpu(OVERLAPPED, () => 10);
    const { engine, failure, tokensOf } = start(gpu, OVERLAPPED);
    const request = makeRequest('a', 3, { maxTokens: 20 });
    engine.add(request);
    await settle();
    for (let i = 0; i < 5; i++) await gpu.advance();
    expect(gpu.numInFlight).toBe(2);
    const lost = new TabserveError('device_lost', 'The GPU device was lost.');
    await gpu.fail(lost);
    expect(await failure).toBe(lost);
    expect(() => engine.add(makeRequest('b', 3))).toThrow(lost);
    const { outputTokenIds } = runAlone(request, 64);
    expect(tokensOf('a')).toEqual(outputTokenIds.slice(0, 5));

    const next = new VirtualGpu(OVERLAPPED, () => 10);
    const resumed = start(next, OVERLAPPED);
    resumed.engine.add({ ...request, outputTokenIds: tokensOf('a') });
    await next.drain();
    expect(resumed.tokensOf('a')).toEqual(outputTokenIds.slice(5));
    await resumed.stop();
  });
});

describe('the time that plans in flight take', () => {
  /** How many tokens a second a request has once all is learnt, and what the GPU had queued at most. */
  async function decode(msOfStep: number, maxPlansInFlight: number, { tickMs = 0, latencyMs = 0 } = {}) {
    const config = { ...LONG, maxPlansInFlight };
    // What lies between a plan's end and the next one's begin, where none is behind it.
    const gpu: VirtualGpu = new VirtualGpu(config, ({ numSteps }) => numSteps * msOfStep + (gpu.numInFlight === 0 ? latencyMs : 0), tickMs);
    const { engine, stop, tokensOf } = start(gpu, config);
    engine.add(makeRequest('a', 20, { maxTokens: 1500 }));
    await settle();
    while (tokensOf('a').length < 100) await gpu.advance();
    gpu.backlogs.length = 0;
    const [startTime, before] = [gpu.now, tokensOf('a').length];
    for (let i = 0; i < 100; i++) await gpu.advance();
    const tokensPerSecond = (1000 * (tokensOf('a').length - before)) / (gpu.now - startTime);
    const { decodeTokensPerSecond } = engine.stats();
    await gpu.drain();
    await stop();
    const numSteps = Math.max(...gpu.fake.plans.slice(-30, -2).map((plan) => plan.numSteps));
    return { tokensPerSecond, decodeTokensPerSecond, numSteps, backlog: Math.max(...gpu.backlogs) };
  }

  test('is what one plan may take, shared out: fewer steps each, no time between them', async () => {
    const alone = await decode(20, 1, { latencyMs: 5 });
    expect(alone).toMatchObject({ numSteps: 4, backlog: 85 });
    expect(alone.tokensPerSecond).toBeCloseTo(4000 / 85);
    const two = await decode(20, 2, { latencyMs: 5 });
    expect(two).toMatchObject({ numSteps: 2, backlog: 80 });
    expect(two.tokensPerSecond).toBeCloseTo(50);
    // Counted from result to result, not from each plan's submit to its end.
    expect(two.decodeTokensPerSecond).toBeCloseTo(50);
  });

  test('is not doubled by a second plan where one step takes most of it', async () => {
    expect(await decode(60, 2, { latencyMs: 1 })).toMatchObject({ numSteps: 1, backlog: 61 });
  });

  test('where results are told every 100 ms: as many steps as may be are in flight, and the budget is not fooled', async () => {
    expect((await decode(5, 1, { tickMs: 100 })).tokensPerSecond).toBeCloseTo(10);
    const two = await decode(5, 2, { tickMs: 100 });
    expect(two).toMatchObject({ numSteps: 4, backlog: 40 });
    expect(two.tokensPerSecond).toBeCloseTo(80);
    // On a slower GPU it takes turns between a length that fits the tick and twice of that.
    const slow = await decode(30, 2, { tickMs: 100 });
    expect(slow.backlog).toBeLessThanOrEqual(240);
    expect(slow.tokensPerSecond).toBeGreaterThan(20);
  });
});
