import { expect, test } from 'vitest';
import { Scheduler } from '../../../src/scheduler/scheduler.ts';
import { FakeRunner } from './fake-runner.ts';
import { CONFIG, makeRequest } from './requests.ts';

// What penalties and logit_bias go by is kept by slot on the GPU: the plan carries it when the slot is new to a request.

const penalised = { repetitionPenalty: 1.2 };

test('a penalised request’s tokens are in the plan in which it first samples, cached ones too, and in no other', () => {
  const runner = new FakeRunner(CONFIG);
  const scheduler = new Scheduler(CONFIG);
  const run = (): void => {
    for (let plan = scheduler.schedule(0); plan !== undefined; plan = scheduler.schedule(0)) {
      scheduler.update(plan, runner.executeNow(plan), 0);
    }
  };
  const prompt = makeRequest('a', 21).promptTokenIds;
  scheduler.add(makeRequest('a', 21, penalised));
  run();
  scheduler.add({ ...makeRequest('b', 21, { logitBias: [[1, 2]] }), promptTokenIds: prompt });
  run();
  scheduler.add({ ...makeRequest('c', 21, { topK: 3, logitBias: [], presencePenalty: 0 }), promptTokenIds: prompt });
  run();
  const histories = (id: string) => runner.plans.flatMap(({ requests }) => requests).filter(({ requestId }) => requestId === id).map(({ history }) => history);
  const history = { tokenIds: prompt, numPromptTokens: 21 };
  // 21 tokens in steps of 16; then seven more are sampled.
  expect(histories('a')).toEqual([undefined, history, ...Array(7).fill(undefined)]);
  // Five blocks of its prompt are cached.
  expect(histories('b')).toEqual([history, ...Array(7).fill(undefined)]);
  expect(histories('c')).toEqual(Array(8).fill(undefined));
});

test('after preemption it comes again, with what had been generated', () => {
  const config = { ...CONFIG, numBlocks: 9 };
  const runner = new FakeRunner(config);
  const scheduler = new Scheduler(config);
  scheduler.add(makeRequest('first', 10, { maxTokens: 12 }));
  scheduler.add(makeRequest('second', 10, { ...penalised, maxTokens: 12 }));
  const generated: number[] = [];
  for (let plan = scheduler.schedule(0); plan !== undefined; plan = scheduler.schedule(0)) {
    const outputs = scheduler.update(plan, runner.executeNow(plan), 0);
    generated.push(...outputs.filter(({ requestId }) => requestId === 'second').flatMap(({ newTokenIds }) => newTokenIds));
  }
  expect(scheduler.stats().preemptions).toBe(1);
  const histories = runner.plans.flatMap(({ requests }) => requests).flatMap(({ history }) => (history === undefined ? [] : [history]));
  const prompt = makeRequest('second', 10).promptTokenIds;
  expect(histories[0]).toEqual({ tokenIds: prompt, numPromptTokens: 10 });
  const before = histories[1]?.tokenIds.length ?? 0;
  expect(before).toBeGreaterThan(11);
  expect(histories).toEqual([
    histories[0],
    { tokenIds: [...prompt, ...generated.slice(0, before - 10)], numPromptTokens: 10 },
  ]);
});
