import { describe, expect, test, vi } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import type { RequestOutput } from '../../../src/core/request.ts';
import type { ModelRunner, ModelRunnerOutput, PlanLimits, SchedulerOutput } from '../../../src/core/scheduler-output.ts';
import { Engine } from '../../../src/engine/engine.ts';
import { GpuLock } from '../../../src/engine/gpu-lock.ts';
import { Scheduler } from '../../../src/scheduler/scheduler.ts';
import { createRandom } from '../../support/random.ts';
import { FakeRunner, runAlone } from '../scheduler/fake-runner.ts';
import { CONFIG, makeRequest, randomRequest } from '../scheduler/requests.ts';

/** Lets everything happen that can happen without anything new from outside. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A runner whose steps end when the test says so. */
class ManualRunner implements ModelRunner {
  readonly #runner = new FakeRunner(CONFIG);
  #release: (() => void) | undefined;

  get isExecuting(): boolean {
    return this.#release !== undefined;
  }

  async execute(plan: SchedulerOutput): Promise<ModelRunnerOutput> {
    await new Promise<void>((resolve) => {
      this.#release = resolve;
    });
    return this.#runner.execute(plan);
  }

  async finishStep(): Promise<void> {
    const release = this.#release;
    if (release === undefined) throw new Error('No step is under way.');
    this.#release = undefined;
    release();
    await settle();
  }
}

/** An engine that runs, with what it has yielded so far. */
function start(runner: ModelRunner, scheduler = new Scheduler(CONFIG), clock = () => 0, gpuLock?: GpuLock) {
  const engine = new Engine({ scheduler, runner, clock, gpuLock });
  const controller = new AbortController();
  const yielded: (readonly RequestOutput[])[] = [];
  const done = (async () => {
    for await (const outputs of engine.run(controller.signal)) yielded.push(outputs);
  })();
  const failure = done.then(
    () => undefined,
    (error: unknown) => error,
  );
  const stop = async (): Promise<void> => {
    controller.abort();
    await done;
  };
  const tokensOf = (id: string): number[] =>
    yielded.flat().flatMap(({ requestId, newTokenIds }) => (requestId === id ? newTokenIds : []));
  const endsOf = (id: string): unknown[] =>
    yielded.flat().flatMap((output) => (output.requestId === id ? (output.finishReason ?? []) : []));
  return { engine, yielded, failure, stop, tokensOf, endsOf };
}

describe('run', () => {
  test('answers requests, those too that come while it works or after it was idle', async () => {
    const { engine, stop, tokensOf, endsOf } = start(new FakeRunner(CONFIG));
    const random = createRandom(3);
    const requests = Array.from({ length: 40 }, (_, i) => randomRequest(random, `r${i}`, CONFIG.maxModelLen, 0));
    for (const request of requests) {
      engine.add(request);
      if (random.below(3) === 0) await settle();
      if (random.below(3) === 0) await Promise.resolve();
    }
    await settle();
    await stop();
    for (const request of requests) {
      const { outputTokenIds, finishReason } = runAlone(request, CONFIG.maxModelLen);
      expect(tokensOf(request.requestId)).toEqual(outputTokenIds);
      expect(endsOf(request.requestId)).toEqual([finishReason]);
    }
    expect(engine.stats()).toMatchObject({ requestsRunning: 0, requestsWaiting: 0, kvBlocksUsed: 0 });
  });

  test('a request added at any turn of the event loop wakes it', async () => {
    // However many microtasks after the last request's end: no moment between "nothing to do" and sleeping is deaf.
    for (let turns = 0; turns < 30; turns++) {
      const { engine, stop, endsOf } = start(new FakeRunner(CONFIG));
      engine.add(makeRequest('a', 3, { maxTokens: 1 }));
      for (let i = 0; i < turns; i++) await Promise.resolve();
      engine.add(makeRequest('b', 3, { maxTokens: 1 }));
      await settle();
      expect(endsOf('b'), `${turns} turns`).toEqual(['length']);
      await stop();
    }
  });

  test('does nothing while there is no work, and looks for leaks when it gets there', async () => {
    let schedules = 0;
    let checks = 0;
    class WatchedScheduler extends Scheduler {
      override schedule(now: number, limits?: PlanLimits): SchedulerOutput | undefined {
        schedules++;
        return super.schedule(now, limits);
      }
      override checkIntegrity(): void {
        checks++;
        super.checkIntegrity();
      }
    }
    const { engine, stop, endsOf } = start(new FakeRunner(CONFIG), new WatchedScheduler(CONFIG));
    await settle();
    [schedules, checks] = [0, 0];
    engine.add(makeRequest('a', 3, { maxTokens: 2 }));
    await settle();
    expect(endsOf('a')).toEqual(['length']);
    expect(checks).toBeGreaterThan(0);
    const before = schedules;
    await settle();
    await settle();
    expect(schedules).toBe(before);
    await stop();
  });

  test('one at a time', async () => {
    const { engine, stop } = start(new FakeRunner(CONFIG));
    await expect(engine.run(new AbortController().signal).next()).rejects.toMatchObject({ code: 'internal' });
    await stop();
  });

  test('ends after the step under way when the signal aborts, and goes on from there when run again', async () => {
    const runner = new ManualRunner();
    const { engine, stop, tokensOf } = start(runner);
    const request = makeRequest('a', 3, { maxTokens: 4 });
    engine.add(request);
    await settle();
    await runner.finishStep();
    const stopped = stop();
    await runner.finishStep();
    await stopped;
    expect(tokensOf('a')).toHaveLength(2);
    const rest: number[] = [];
    const again = new AbortController();
    const done = (async () => {
      for await (const outputs of engine.run(again.signal)) rest.push(...outputs.flatMap((o) => o.newTokenIds));
    })();
    await settle();
    await runner.finishStep();
    await runner.finishStep();
    again.abort();
    await done;
    expect([...tokensOf('a'), ...rest]).toEqual(runAlone(request, CONFIG.maxModelLen).outputTokenIds);
  });

  test('an aborted signal ends it at once', async () => {
    const engine = new Engine({ scheduler: new Scheduler(CONFIG), runner: new FakeRunner(CONFIG), clock: () => 0 });
    engine.add(makeRequest('a', 3));
    expect(await engine.run(AbortSignal.abort()).next()).toEqual({ done: true, value: undefined });
    expect(engine.stats().requestsWaiting).toBe(1);
  });

  test('measures speed by its clock: what its caller does with the outputs counts, idleness does not', async () => {
    let now = 0;
    const fake = new FakeRunner(CONFIG);
    const runner: ModelRunner = {
      execute: (plan) => {
        now += plan.totalNumScheduledTokens === 1 ? 40 : 100;
        return fake.execute(plan);
      },
    };
    const engine = new Engine({ scheduler: new Scheduler(CONFIG), runner, clock: () => now });
    const controller = new AbortController();
    const done = (async () => {
      for await (const outputs of engine.run(controller.signal)) now += 10 * outputs.length;
    })();
    for (let i = 1; i <= 2; i++) {
      await settle();
      now = 1000 * i;
      engine.add(makeRequest(`a${i}`, 10, { maxTokens: 5 }));
      await settle();
      expect(engine.stats()).toMatchObject({
        prefillTokensPerSecond: 100,
        decodeTokensPerSecond: 20,
        promptTokens: 10 * i,
        generationTokens: 5 * i,
      });
    }
    controller.abort();
    await done;
  });
});

describe('the time that a plan takes', () => {
  /** Runs three requests on an adapter of a step's and a row's milliseconds. Returns how long each plan took. */
  async function run(msOfStep: number, msOfRow: number, maxPlanMs?: number) {
    const config = { ...CONFIG, numBlocks: 400, maxModelLen: 800, maxNumBatchedTokens: 256, maxStepsPerPlan: 8 };
    let now = 0;
    const fake = new FakeRunner(config);
    const times: number[] = [];
    const runner: ModelRunner = {
      execute: (plan) => {
        times.push(plan.numSteps * (msOfStep + msOfRow * plan.totalNumScheduledTokens));
        now += times.at(-1) ?? 0;
        return fake.execute(plan);
      },
    };
    const engine = new Engine({ scheduler: new Scheduler(config), runner, clock: () => now, maxPlanMs });
    const stop = new AbortController();
    const requests = ['a', 'b', 'c'].map((id, i) => makeRequest(id, 600 - 250 * i, { maxTokens: 60 }));
    for (const request of requests) engine.add(request);
    const tokens = new Map<string, number[]>();
    let numEnded = 0;
    for await (const outputs of engine.run(stop.signal)) {
      for (const { requestId, newTokenIds, finishReason } of outputs) {
        tokens.set(requestId, [...(tokens.get(requestId) ?? []), ...newTokenIds]);
        if (finishReason !== undefined) numEnded++;
      }
      if (numEnded === requests.length) stop.abort();
    }
    for (const each of requests) expect(tokens.get(each.requestId)).toEqual(runAlone(each, 800).outputTokenIds);
    return { times, plans: fake.plans };
  }

  test('follows the adapter: no plan beyond 100 ms, several decode steps where they fit; the text is the same', async () => {
    const { times, plans } = await run(10, 0.7);
    expect(Math.max(...times)).toBeLessThanOrEqual(100);
    expect(times.filter((ms) => ms > 90).length).toBeGreaterThan(5);
    expect(Math.max(...plans.map(({ totalNumScheduledTokens }) => totalNumScheduledTokens))).toBeLessThan(130);
    expect(Math.max(...plans.map(({ numSteps }) => numSteps))).toBe(8);
    const slow = await run(30, 1);
    expect(Math.max(...slow.times)).toBeLessThanOrEqual(100);
    expect(Math.max(...slow.plans.map(({ numSteps }) => numSteps))).toBe(3);
  });

  test('is as long as the scheduler may make it, where the caller sets no limit', async () => {
    const { times, plans } = await run(100, 7, Infinity);
    expect(Math.max(...times)).toBe(100 + 7 * 256);
    expect(Math.max(...plans.map(({ numSteps }) => numSteps))).toBe(8);
  });
});

describe('abort', () => {
  test('ends a request with one output, whether it waits, runs or is in flight', async () => {
    const runner = new ManualRunner();
    const { engine, stop, endsOf, tokensOf } = start(runner, new Scheduler({ ...CONFIG, maxNumSeqs: 2 }));
    for (const id of ['a', 'b', 'c']) engine.add(makeRequest(id, 3, { maxTokens: 3 }));
    await settle();
    engine.abort('a');
    engine.abort('c');
    engine.abort('a');
    await runner.finishStep();
    for (const id of ['a', 'c']) {
      expect(endsOf(id)).toEqual(['abort']);
      expect(tokensOf(id)).toEqual([]);
    }
    while (runner.isExecuting) await runner.finishStep();
    expect(endsOf('b')).toEqual(['length']);
    await stop();
  });

  test('reaches run while it sleeps', async () => {
    const scheduler = new Scheduler(CONFIG);
    const { engine, stop, endsOf } = start(new FakeRunner(CONFIG), scheduler);
    await settle();
    // Behind the engine's back, so that it sleeps although a request waits.
    scheduler.add(makeRequest('a', 3));
    await settle();
    engine.abort('a');
    await settle();
    expect(endsOf('a')).toEqual(['abort']);
    await stop();
  });

  test('of a session ends its requests and no others', async () => {
    const runner = new ManualRunner();
    const { engine, stop, endsOf } = start(runner);
    engine.add(makeRequest('a', 3, {}, { sessionId: 'x' }));
    engine.add(makeRequest('b', 3, { maxTokens: 2 }, { sessionId: 'y' }));
    engine.add(makeRequest('c', 3, {}, { sessionId: 'x' }));
    await settle();
    engine.abortSession('x');
    while (runner.isExecuting) await runner.finishStep();
    expect(['a', 'b', 'c'].map(endsOf)).toEqual([['abort'], ['length'], ['abort']]);
    await stop();
  });
});

describe('failure', () => {
  test('of the runner ends run with its typed error, which add and run then throw, too', async () => {
    const lost = new TabserveError('device_lost', 'The GPU device was lost.');
    const { engine, failure } = start({ execute: () => Promise.reject(lost) });
    engine.add(makeRequest('a', 3));
    expect(await failure).toBe(lost);
    expect(() => engine.add(makeRequest('b', 3))).toThrow(lost);
    await expect(engine.run(new AbortController().signal).next()).rejects.toBe(lost);
    engine.abort('a');
  });

  test('with anything else is internal, naming it', async () => {
    const { engine, failure } = start({ execute: () => Promise.reject(new RangeError('offset')) });
    engine.add(makeRequest('a', 3));
    expect(await failure).toMatchObject({ code: 'internal', message: expect.stringContaining('RangeError: offset') });
  });

  test('of the books, found when idle, ends run', async () => {
    class LeakyScheduler extends Scheduler {
      override checkIntegrity(): void {
        throw new TabserveError('internal', 'Block 3 is lost.');
      }
    }
    const { failure } = start(new FakeRunner(CONFIG), new LeakyScheduler(CONFIG));
    expect(await failure).toMatchObject({ message: 'Block 3 is lost.' });
  });
});

describe('an engine that shares the GPU', () => {
  test('steps once nothing has it exclusively, and holds its share until it has nothing to do', async () => {
    const runner = new ManualRunner();
    const gpuLock = new GpuLock();
    const { engine, stop, endsOf } = start(runner, undefined, undefined, gpuLock);
    let finish = (): void => {};
    const task = vi.fn(() => new Promise<void>((resolve) => (finish = resolve)));
    void gpuLock.exclusive(task);
    engine.add(makeRequest('meanwhile', 5, { maxTokens: 1 }));
    await settle();
    expect([runner.isExecuting, gpuLock.numHolders]).toEqual([false, 0]);
    finish();
    await settle();
    expect([runner.isExecuting, gpuLock.numHolders]).toEqual([true, 1]);
    void gpuLock.exclusive(task);
    await settle();
    expect(task).toHaveBeenCalledTimes(1);
    await runner.finishStep();
    expect(endsOf('meanwhile')).toEqual(['length']);
    expect(task).toHaveBeenCalledTimes(2);
    finish();
    await stop();
  });

  test('gives its share back where it fails', async () => {
    const gpuLock = new GpuLock();
    const runner = { execute: () => Promise.reject(new TabserveError('device_lost', 'gone')) };
    const { engine, failure } = start(runner, undefined, undefined, gpuLock);
    engine.add(makeRequest('a', 5));
    expect(await failure).toMatchObject({ code: 'device_lost' });
    expect(gpuLock.numHolders).toBe(0);
  });
});
