import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { atOnceOrInTurns, inTurns, type Work } from '../../../src/core/turns.ts';
import { yieldTurn } from '../../../src/core/yield-turn.ts';

/** Each look at the clock finds it 5 ms later, so that a turn is over after two steps. */
let now = 0;
beforeEach(() => void vi.spyOn(performance, 'now').mockImplementation(() => (now += 5)));
afterEach(() => vi.restoreAllMocks());

const steps: string[] = [];
beforeEach(() => void steps.splice(0));

function* work(name: string, count: number): Work<string> {
  for (let i = 0; i < count; i++) {
    steps.push(name);
    yield;
  }
  return `${name} is done`;
}

const never = new AbortController().signal;

test('work without a pause is done at once', () => {
  expect(atOnceOrInTurns(work('a', 0), never)).toBe('a is done');
});

test('however much work there is, the event loop is left to others after each turn, and all work goes on', async () => {
  const all = ['a', 'b', 'c', 'd'].map((name) => Promise.resolve(atOnceOrInTurns(work(name, 9), never)));
  expect(steps.join('')).toBe('abcd');
  let isOver = false;
  const done = Promise.all(all).finally(() => (isOver = true));
  const turns: string[] = [];
  for (let seen = steps.length; !isOver; seen = steps.length) {
    await yieldTurn();
    turns.push(steps.slice(seen).join(''));
  }
  expect(await done).toEqual(['a is done', 'b is done', 'c is done', 'd is done']);
  // Never two of them, nor two turns of one, without a turn for others.
  for (const turn of turns) expect(turn).toMatch(/^(a*|b*|c*|d*)$/);
  expect(Math.max(...turns.map((turn) => turn.length))).toBeLessThanOrEqual(2);
  expect(turns.filter((turn) => turn !== '').slice(0, 4).map((turn) => turn[0])).toEqual(['a', 'b', 'c', 'd']);
});

test('loads take turns with it', async () => {
  await Promise.all([inTurns(work('load', 8)), atOnceOrInTurns(work('prompt', 8), never)]);
  expect(steps.lastIndexOf('load')).toBeGreaterThan(steps.indexOf('prompt'));
  expect(steps.lastIndexOf('prompt')).toBeGreaterThan(steps.indexOf('load'));
});

test('work that is given up ends with the reason, and does no more', async () => {
  const given = new AbortController();
  const promise = atOnceOrInTurns(work('a', 9), given.signal);
  given.abort(new Error('given up'));
  await expect(promise).rejects.toThrow('given up');
  expect(steps).toEqual(['a']);
});
