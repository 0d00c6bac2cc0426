import { describe, expect, test } from 'vitest';
import { formatResults } from '../../bench/format.mjs';
import { ceilingOf } from '../../bench/sanity.mjs';
import { BENCH_CEILINGS, BENCH_HEAD, benchResults, benchRow } from '../../support/bench-results.ts';

const MODEL = BENCH_HEAD.model;
if (MODEL === null) throw new Error('a model');

/** Of a row's speed, with a model of 100 MB, and 100 and 25 million multiply-adds, at 100 GB/s and 500 GFLOP/s. */
function ceiling(metric: string, dimensions: Readonly<Record<string, string | number>>, unit = 'tok/s'): number | undefined {
  return ceilingOf(benchRow(metric, [1], { dimensions, unit }), BENCH_CEILINGS, MODEL as NonNullable<typeof MODEL>);
}

describe('a ceiling', () => {
  test('of decode is reading the weights once for the whole batch, or computing with them for each of its tokens', () => {
    expect(ceiling('decode', {})).toBeCloseTo(1000);
    expect(ceiling('decode', { batch: 1 })).toBeCloseTo(1000);
    expect(ceiling('decode', { batch: 2 })).toBeCloseTo(2000);
    expect(ceiling('decode', { batch: 16 })).toBeCloseTo(2000);
    expect(ceiling('output', { concurrency: 2 })).toBeCloseTo(2000);
  });

  test('of prefill is computing without the output matrix, or reading the weights once a prompt', () => {
    expect(ceiling('prefill', { prompt: 128 })).toBeCloseTo(2500);
    expect(ceiling('prefill', { prompt: 2 })).toBeCloseTo(2000);
  });

  test('of other numerics is theirs', () => {
    expect(ceiling('prefill', { prompt: 128, numerics: 'dp4a' })).toBeCloseTo(10_000);
    expect(ceiling('prefill', { prompt: 128, numerics: 'f16' })).toBeUndefined();
  });

  test('of what is no speed of tokens is unknown', () => {
    expect(ceiling('TTFT', {}, 'ms')).toBeUndefined();
    expect(ceiling('decode', {}, 'ms')).toBeUndefined();
  });
});

test('a figure within a tenth of its ceiling is believed, and says how near it is', () => {
  const { clean, rows } = benchResults([benchRow('decode', [1050, 1099, 1200], { dimensions: { batch: 1 } })]);
  expect(clean).toBe(true);
  expect(rows.at(-1)?.roofline).toBeCloseTo(1.099);
});

test('a figure above its ceiling makes the run unclean by name, and is marked in the table', () => {
  const results = benchResults([
    benchRow('decode', [1150, 900, 1200], { dimensions: { batch: 1 } }),
    benchRow('prefill', [2000], { dimensions: { prompt: 128 } }),
  ]);
  expect(results.clean).toBe(false);
  expect(results.caveats).toEqual(['engine: decode (batch 1) is 1.15 times what the adapter can do by its measured ceilings']);
  const lines = formatResults(results).split('\n');
  expect(lines.filter((line) => line.includes('ABOVE THE CEILING'))).toEqual([expect.stringContaining('decode')]);
  expect(lines.at(-1)).toContain('NOT a clean run: engine: decode');
});

test('so does a share that a part has said itself, which is kept', () => {
  const fine = benchRow('decode', [5000], { part: 'models', roofline: 0.5 });
  expect(benchResults([fine]).rows.at(-1)?.roofline).toBe(0.5);
  expect(benchResults([fine]).clean).toBe(true);
  expect(benchResults([{ ...fine, roofline: 1.2 }]).caveats).toEqual([expect.stringContaining('models: decode is 1.20 times')]);
});

test('another model is not held against this one’s weights', () => {
  const other = benchRow('decode', [99_999], { dimensions: { model: 'Tiny' } });
  expect(benchResults([other]).rows.at(-1)).not.toHaveProperty('roofline');
});

test('speeds that nothing checks, and samples that are no measurement, make a run unclean', () => {
  const row = benchRow('decode', [10]);
  expect(benchResults([row], {}, { rows: [row] }).caveats).toEqual([expect.stringContaining('no ceiling was measured')]);
  for (const sample of [NaN, Infinity, -1]) {
    expect(benchResults([benchRow('TTFT', [5, sample], { unit: 'ms' })]).caveats).toEqual([expect.stringContaining('TTFT has a sample')]);
  }
});
