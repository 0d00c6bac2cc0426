import { describe, expect, test } from 'vitest';
import type { SchedulerConfig, SchedulerOutput } from '../../../src/core/scheduler-output.ts';
import { Scheduler } from '../../../src/scheduler/scheduler.ts';
import { runAlone } from './fake-runner.ts';
import { CONFIG, makeRequest } from './requests.ts';
import { Simulation } from './simulation.ts';

function simulation(config: Partial<SchedulerConfig> = {}): Simulation {
  return new Simulation({ ...CONFIG, ...config });
}

/** Of each scheduled request: id, tokens fed, and `*` where it samples. */
function shape(plan: SchedulerOutput | undefined): string {
  return plan?.requests.map((r) => `${r.requestId}:${r.tokenIds.length}${r.samples ? '*' : ''}`).join(' ') ?? '';
}

describe('add', () => {
  const add = (request: ReturnType<typeof makeRequest>, config: Partial<SchedulerConfig> = {}): unknown =>
    new Scheduler({ ...CONFIG, ...config }).add(request);

  test('refuses an empty prompt and a maxTokens below 1', () => {
    expect(() => add(makeRequest('a', 0))).toThrow(expect.objectContaining({ code: 'invalid_request' }));
    for (const maxTokens of [0, -1, NaN]) {
      const error = expect.objectContaining({ code: 'invalid_request', param: 'maxTokens' });
      expect(() => add(makeRequest('a', 3, { maxTokens }))).toThrow(error);
    }
  });

  // A context is as short as the KV cache where that is the reason: a larger maxModelLen alone may not help.
  test('refuses a prompt that fills the context, naming both numbers, and what may make it longer', () => {
    const error = expect.objectContaining({
      code: 'context_length_exceeded',
      message: expect.stringMatching(/prompt has 64 tokens.* context holds 64.*maxModelLen or kvCacheBytes.*contextCut/),
    });
    expect(() => add(makeRequest('a', 64))).toThrow(error);
    add(makeRequest('a', 63));
  });

  test('refuses a prompt that fills the block pool, naming kvCacheBytes', () => {
    const error = expect.objectContaining({
      code: 'context_length_exceeded',
      message: expect.stringMatching(/prompt has 40 tokens.* KV cache holds 40.*kvCacheBytes/),
    });
    expect(() => add(makeRequest('a', 40), { numBlocks: 10 })).toThrow(error);
    add(makeRequest('a', 39), { numBlocks: 10 });
  });

  test('refuses an id in use: waiting, running, or aborted in flight; not one that has ended', () => {
    const error = expect.objectContaining({ code: 'invalid_request' });
    const { scheduler } = simulation();
    scheduler.add(makeRequest('a', 3));
    expect(() => scheduler.add(makeRequest('a', 3))).toThrow(error);
    const plan = scheduler.schedule(0);
    expect(() => scheduler.add(makeRequest('a', 3))).toThrow(error);
    scheduler.abort('a', 0);
    expect(() => scheduler.add(makeRequest('a', 3))).toThrow(error);
    if (plan !== undefined) scheduler.update(plan, { sampledTokenIds: new Map([['a', [1]]]) }, 1);
    scheduler.add(makeRequest('a', 3));
  });

  test('a scheduler needs positive limits', () => {
    expect(() => new Scheduler({ ...CONFIG, maxNumSeqs: 0 })).toThrow(/maxNumSeqs/);
    expect(() => new Scheduler({ ...CONFIG, blockSize: 2.5 })).toThrow(/blockSize/);
  });
});

describe('schedule', () => {
  test('has nothing to do when there is nothing', () => {
    expect(new Scheduler(CONFIG).schedule(0)).toBeUndefined();
  });

  test('one step carries rows of two sessions, a prompt in chunks beside another request decoding', () => {
    const sim = simulation();
    sim.add(makeRequest('a', 10, {}, { sessionId: 'tab1' }));
    sim.add(makeRequest('b', 40, {}, { sessionId: 'tab2' }));
    const shapes = Array.from({ length: 6 }, () => shape(sim.step()?.plan));
    expect(shapes).toEqual(['a:10* b:6', 'a:1* b:15', 'a:1* b:15', 'a:1* b:4*', 'a:1* b:1*', 'a:1* b:1*']);
    sim.drain();
    sim.checkAnswers();
  });

  test.each([
    [40, ['a:12 b:4*', 'a:12* b:1*']],
    [32, ['a:12 b:4*', 'a:4* b:1*']], // what a lacks is just what the step has
  ])('a short prompt does not wait for the chunks of one with %i tokens, which lacks as much or more', (length, shapes) => {
    const sim = simulation();
    sim.add(makeRequest('a', length));
    sim.step();
    sim.add(makeRequest('b', 4, {}, { arrivalTime: 1 }));
    expect([shape(sim.step()?.plan), shape(sim.step()?.plan)].map((each) => each.split(' ').toSorted().join(' '))).toEqual(shapes);
  });

  test('first come, first served, as many as there are slots', () => {
    const sim = simulation({ maxNumSeqs: 2 });
    for (const id of ['a', 'b', 'c']) sim.add(makeRequest(id, 2, { maxTokens: id === 'b' ? 2 : 4 }));
    const shapes = Array.from({ length: 4 }, () => shape(sim.step()?.plan));
    expect(shapes).toEqual(['a:2* b:2*', 'a:1* b:1*', 'a:1* c:2*', 'a:1* c:1*']);
  });

  test('a slot is kept while its request runs and used again after', () => {
    const sim = simulation({ maxNumSeqs: 2 });
    for (const id of ['a', 'b', 'c']) sim.add(makeRequest(id, 2, { maxTokens: id === 'b' ? 2 : 5 }));
    const slots = new Map<string, Set<number>>();
    for (let step = sim.step(); step !== undefined; step = sim.step()) {
      for (const { requestId, slot } of step.plan.requests) {
        slots.set(requestId, (slots.get(requestId) ?? new Set()).add(slot));
      }
    }
    expect([...(slots.get('a') ?? [])]).toHaveLength(1);
    expect([...(slots.get('b') ?? [])]).toHaveLength(1);
    expect(slots.get('c')).toEqual(slots.get('b'));
  });

  test('a plan is a picture of its moment: later steps do not change it', () => {
    const sim = simulation();
    sim.add(makeRequest('a', 4));
    const plan = sim.step()?.plan;
    const before = structuredClone(plan);
    sim.drain();
    expect(plan).toEqual(before);
  });

  test('one plan at a time', () => {
    const scheduler = new Scheduler(CONFIG);
    scheduler.add(makeRequest('a', 4));
    const plan = scheduler.schedule(0);
    expect(() => scheduler.schedule(0)).toThrow(/before update/);
    if (plan === undefined) throw new Error('No plan.');
    const sampled = { sampledTokenIds: new Map([['a', [1]]]) };
    expect(() => scheduler.update({ ...plan }, sampled, 1)).toThrow(/not in flight/);
    scheduler.update(plan, sampled, 1);
    expect(() => scheduler.update(plan, sampled, 1)).toThrow(/not in flight/);
  });

  test('a runner that gives too few ids is found out', () => {
    for (const ids of [[], [1, 2]]) {
      const scheduler = new Scheduler(CONFIG);
      scheduler.add(makeRequest('a', 4));
      const plan = scheduler.schedule(0);
      if (plan === undefined) throw new Error('No plan.');
      const update = (): unknown => scheduler.update(plan, { sampledTokenIds: new Map([['a', ids]]) }, 1);
      expect(update).toThrow(expect.objectContaining({ code: 'internal' }));
    }
  });
});

describe('the end of a request', () => {
  test('maxTokens, and one token only', () => {
    const sim = simulation();
    sim.add(makeRequest('a', 5, { maxTokens: 1 }));
    sim.add(makeRequest('b', 5, { maxTokens: 3 }));
    sim.drain();
    expect(sim.journals.get('a')).toMatchObject({ finishReason: 'length', outputTokenIds: { length: 1 } });
    expect(sim.journals.get('b')).toMatchObject({ finishReason: 'length', outputTokenIds: { length: 3 } });
    sim.checkAnswers();
  });

  test('the context', () => {
    const sim = simulation();
    sim.add(makeRequest('a', 5, { maxTokens: Infinity }));
    sim.drain();
    expect(sim.journals.get('a')).toMatchObject({ finishReason: 'length', outputTokenIds: { length: 59 } });
    sim.checkAnswers();
  });

  test('the block pool, where it is smaller than the context, without a preemption', () => {
    const sim = simulation({ numBlocks: 5 });
    sim.add(makeRequest('a', 5, { maxTokens: Infinity }));
    sim.drain();
    expect(sim.journals.get('a')).toMatchObject({ finishReason: 'length', outputTokenIds: { length: 15 } });
    expect(sim.scheduler.stats().preemptions).toBe(0);
    sim.checkAnswers();
  });

  test('a stop token, which is the last one given, also when it is the first one sampled', () => {
    for (const index of [0, 3]) {
      const free = runAlone(makeRequest('a', 5, { maxTokens: 20 }), 64).outputTokenIds;
      const stop = free[index] ?? -1;
      const sim = simulation();
      sim.add(makeRequest('a', 5, { maxTokens: 20, stopTokenIds: [99, stop] }));
      sim.drain();
      expect(sim.journals.get('a')).toMatchObject({
        finishReason: 'stop',
        outputTokenIds: free.slice(0, free.indexOf(stop) + 1),
      });
    }
  });
});

describe('preemption', () => {
  test('the newest gives up its blocks, comes back first, and what is not cached any more is computed anew', () => {
    const sim = simulation({ numBlocks: 7, maxNumSeqs: 3 });
    sim.add(makeRequest('a', 8, { maxTokens: 9 }));
    sim.add(makeRequest('b', 8, { maxTokens: 9 }));
    const shapes = [shape(sim.step()?.plan)];
    sim.add(makeRequest('c', 3, { maxTokens: 4 }, { arrivalTime: 1 }));
    for (let step = sim.step(); step !== undefined; step = sim.step()) shapes.push(shape(step.plan));
    expect(shapes).toEqual([
      'a:8* b:8*',
      ...Array<string>(4).fill('a:1* b:1*'), // 12 tokens each, three blocks each
      'a:1*', // both need a fourth block, one is free: a takes it, b goes
      ...Array<string>(3).fill('a:1*'),
      'b:1* c:3*', // a has ended; b first: of its 8 + 5 tokens, 12 are in blocks that nobody has taken since
      ...Array<string>(3).fill('b:1* c:1*'),
    ]);
    expect(sim.scheduler.stats()).toMatchObject({ preemptions: 1, promptTokens: 19, generationTokens: 22 });
    sim.checkIdle();
    sim.checkAnswers();
  });

  test('a waiting request is admitted only if one block is left over for each that runs', () => {
    const sim = simulation({ numBlocks: 4 });
    sim.add(makeRequest('a', 8, { maxTokens: 3 }));
    sim.add(makeRequest('b', 8, { maxTokens: 3 }));
    expect(shape(sim.step()?.plan)).toBe('a:8*');
    sim.drain();
    expect(sim.scheduler.stats().preemptions).toBe(0);
  });

  test('the time of first scheduling outlives it', () => {
    const sim = simulation({ numBlocks: 7 });
    sim.add(makeRequest('a', 8, { maxTokens: 9 }));
    sim.add(makeRequest('b', 8, { maxTokens: 9 }));
    const times = new Set<number>();
    for (let step = sim.step(); step !== undefined; step = sim.step()) {
      for (const output of step.outputs) times.add(output.firstScheduledTime);
    }
    expect(sim.scheduler.stats().preemptions).toBeGreaterThan(0);
    expect([...times]).toEqual([1]);
  });

  test('many long requests in the smallest pool all end', () => {
    const sim = simulation({ numBlocks: 16, maxStepsPerPlan: 4, maxNumSeqs: 8, maxNumBatchedTokens: 9 });
    for (let i = 0; i < 20; i++) sim.add(makeRequest(`r${i}`, 1 + i * 3, { maxTokens: Infinity, seed: i }));
    sim.drain();
    sim.checkAnswers();
    expect(sim.scheduler.stats().preemptions).toBeGreaterThan(10);
  });
});
