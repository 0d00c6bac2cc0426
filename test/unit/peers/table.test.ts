import { describe, expect, test } from 'vitest';
import type { BenchRow } from '../../../demo/bench/row.ts';
import { comparison, formatTable, markOf } from '../../peers/table.mjs';

const row = (engine: string, backend: string, metric: string, samples: number[]): BenchRow => ({
  part: 'peers', metric, dimensions: { engine, backend, weights: 'Q4_1' }, unit: 'tok/s', better: 'higher', samples,
});
const ROWS = [
  row('tabserve', 'webgpu', 'prefill', [30, 50, 40]), row('tabserve', 'webgpu', 'decode', [10]),
  row('other', 'webgpu', 'prefill', [20]), row('other', 'webgpu', 'decode', [25]),
  row('other', 'wasm', 'decode', [10]), row('llama.cpp', 'native', 'decode', [100]),
];

describe('what a ratio is marked with', () => {
  test.each([
    ['other webgpu Q4_1', true, ' (not a GPU: says nothing of one)'],
    ['other webgpu Q4_1', false, ''],
    ['other wasm Q4_1', true, ' (on the same CPU cores)'],
    ['other wasm Q4_1', false, ''],
    ['llama.cpp native Q4_1', true, ' (no browser: what the machine can do)'],
  ])('%s, software: %s', (name, isSoftware, mark) => {
    expect(markOf(name, isSoftware)).toBe(mark);
  });
});

test('wins and losses are ratios of medians', () => {
  expect(comparison(ROWS, 'other webgpu Q4_1', { isSoftware: true })).toEqual([
    'tabserve against other webgpu Q4_1 (not a GPU: says nothing of one): ' +
      'prefill wins, 2.00 times as fast; decode loses, the other is 2.50 times as fast',
  ]);
  expect(comparison(ROWS, 'other wasm Q4_1', { isSoftware: false })).toEqual([
    'tabserve against other wasm Q4_1: decode even',
  ]);
});

test('without tabserve nothing is compared', () => {
  const others = ROWS.filter(({ dimensions }) => dimensions['engine'] !== 'tabserve');
  expect(comparison(others, 'other wasm Q4_1', { isSoftware: false })).toEqual([]);
});

test('the table has ranges, gaps, what is left out and why the run is not clean', () => {
  const head = {
    commit: 'abc1234', command: 'npm run bench:peers', date: '', model: 'small.gguf', prompt: { name: 'story', tokens: 43 }, outputTokens: 16, requests: 4, repeats: 3,
    adapter: 'acme', isSoftware: true, browser: 'Chromium 1', os: 'Some 1', cpu: 'one x 2', loadAverage: 1.5, cores: 2, engines: [],
    caveats: ['the adapter is software'],
  };
  const lines = formatTable({ rows: ROWS, omitted: [{ what: 'absent', why: 'not here' }], head }).split('\n');
  expect(lines).toContainEqual(expect.stringMatching(/^tabserve webgpu Q4_1 +40\.0 \[30\.0\.\.50\.0\] +10\.0 +- +-/));
  expect(lines).toContain('  absent: not here');
  expect(lines[1]).toContain('software: not a GPU');
  expect(lines.at(-1)).toBe('NOT a clean run: the adapter is software.');
});
