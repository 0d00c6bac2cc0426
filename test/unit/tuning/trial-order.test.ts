import { expect, test } from 'vitest';
import type { BestVariant, Tunable } from '../../../src/tuning/tunable.ts';
import { nextTrial } from '../../../src/tuning/trial-order.ts';
import { fakeTunable } from './fake-trial.ts';

/** The trials of all kernels, in order. */
function orderOf(tunables: readonly Tunable[], known = new Map<string, BestVariant>()): (readonly [string, readonly string[]])[] {
  const order: (readonly [string, readonly string[]])[] = [];
  for (let next = nextTrial(tunables, known); next !== undefined; next = nextTrial(tunables, known)) {
    const { tunable: { key }, candidates } = next;
    order.push([key, candidates]);
    known.set(key, { variant: 'default', ms: 1, defaultMs: 1, tried: [...(known.get(key)?.tried ?? []), ...candidates] });
  }
  return order;
}

test('decoding is tried first, then prompts, then what lies between; of each, what moves most bytes', () => {
  const sizes = [[1, 5], [2, 900], [4, 900], [64, 70], [1, 30], [2, 1000], [64, 800], [1, 10]] as const;
  const tunables = sizes.map(([tokens, bytes]) => fakeTunable(`${tokens} ${bytes}`, tokens, { default: 1, other: 1 }, { bytes }));
  expect(orderOf(tunables).map(([key]) => key)).toEqual(['1 30', '1 10', '1 5', '64 800', '64 70', '4 900', '2 1000', '2 900']);
});

test('each kernel has a trial of its first candidates before any has the rest; what was tried is not tried again', () => {
  const speeds = Object.fromEntries(['default', ...Array.from({ length: 9 }, (_, i) => `v${i}`)].map((name) => [name, 1]));
  const tunables = [fakeTunable('decode', 1, speeds), fakeTunable('prompt', 64, speeds)];
  const [first, rest] = [['v0', 'v1', 'v2', 'v3', 'v4', 'v5', 'v6'], ['v7', 'v8']];
  expect(orderOf(tunables)).toEqual([['decode', first], ['prompt', first], ['decode', rest], ['prompt', rest]]);
  const known = new Map([['decode', { variant: 'v1', ms: 1, defaultMs: 2, tried: ['v1', 'v8'] }]]);
  expect(orderOf(tunables, known)).toEqual([
    ['prompt', first], ['decode', ['v0', 'v2', 'v3', 'v4', 'v5', 'v6', 'v7']], ['prompt', rest],
  ]);
});
