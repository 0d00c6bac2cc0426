import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { dawnResults } from '../../bench/dawn/results.mjs';
import type { Part } from '../../bench/dawn/options.ts';
import type { Line } from '../../bench/dawn/report.ts';
import { readModelFacts } from '../../bench/model-facts.ts';
import { readResults, requireResults, writeResults } from '../../bench/results.mjs';
import { constantDimensions, poolRows } from '../../../demo/bench/rows.mjs';
import { BENCH_HEAD, benchResults, benchRow } from '../../support/bench-results.ts';
import { tinyModel, type TinyModelOptions } from '../../support/tiny-model.ts';

function temporaryFile(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tabserve-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, name);
}

describe('results', () => {
  test('are what the schema says, and come back from a file as they were', () => {
    const file = temporaryFile('results.json');
    const results = benchResults([benchRow('decode', [10, 11], { dimensions: { model: 'Small', batch: 1 }, roofline: 0.2 })]);
    writeResults(file, results);
    expect(readResults(file)).toEqual(results);
    requireResults(benchResults([], { model: null }), 'a run without a model');
  });

  test('that are anything else are refused, with where they are wrong', () => {
    const good = benchResults([benchRow('decode', [10])]);
    const [row] = good.rows;
    expect(() => requireResults({ ...good, schemaVersion: 1 }, 'old.json')).toThrow(/old\.json is no results .*\/schemaVersion/);
    expect(() => requireResults({ ...good, rows: [{ ...row, samples: [] }] }, 'x')).toThrow('/rows/0/samples');
    expect(() => requireResults({ ...good, rows: [{ ...row, better: 'faster' }] }, 'x')).toThrow('/rows/0/better');
    expect(() => requireResults({ ...good, rows: [{ ...row, speed: 3 }] }, 'x')).toThrow('/rows/0');
    expect(() => requireResults({ ...good, head: { ...good.head, commit: undefined } }, 'x')).toThrow(/\/head .*commit/);
    expect(() => writeResults(temporaryFile('x.json'), { ...good, clean: undefined as never })).toThrow('clean');
  });

  test('keep no sample that JSON cannot say, and are unclean for it', () => {
    const results = benchResults([benchRow('TTFT', [NaN], { unit: 'ms' })]);
    expect(results.rows.map(({ metric }) => metric)).not.toContain('TTFT');
    expect(results.caveats).toEqual([expect.stringContaining('TTFT')]);
    requireResults(results, 'results');
  });
});

test('rows of one name are pooled, whatever the order of their dimensions', () => {
  const first = benchRow('decode', [1], { dimensions: { batch: 4, context: 128 }, roofline: 0.1 });
  const second = benchRow('decode', [2], { dimensions: { context: 128, batch: 4 }, roofline: 0.3 });
  const other = benchRow('decode', [9], { dimensions: { batch: 1, context: 128 } });
  expect(poolRows([first, other, second])).toEqual([{ ...first, samples: [1, 2], roofline: 0.2 }, other]);
});

test('what all rows have in common is told once; a row that names no model has no other', () => {
  const rows = [{ model: 'Small', batch: 1, context: 9 }, { batch: 1 }, { model: 'Small', batch: 1, context: 9 }];
  expect(constantDimensions(rows.map((dimensions) => benchRow('x', [1], { dimensions })))).toEqual({ model: 'Small', batch: 1 });
  const others = [...rows, { model: 'Large', batch: 1 }];
  expect(constantDimensions(others.map((dimensions) => benchRow('x', [1], { dimensions })))).toEqual({ batch: 1 });
});

describe('lines of a run on Dawn', () => {
  const LIMITS = { readGBps: 100, readBytes: 1, f32Gflops: 500, f16Gflops: undefined, int8Gops: undefined, dispatchUs: 1, submitUs: 2, readbackMs: 3 };
  const row = (part: Part, name: string, samples: readonly number[], figures: Record<string, number>, counts = 'a run'): Line => {
    return { kind: 'row', part, name, counts, samples, figures, medianMs: 0, repeats: samples.length };
  };
  const LINES: readonly Line[] = [
    { kind: 'head', ...BENCH_HEAD, suite: 'dawn', runtime: 'Node 20.1.0' },
    { kind: 'limits', limits: LIMITS },
    row('matmul', 'INT4 960x576, M = 8', [2, 1, 4], { 'GMAC/s': 100, 'GB/s': 20 }),
    row('attention', '9 heads of 64 over 3, context 256, 16 at once', [1], { 'GMAC/s': 1, 'GB/s': 60 }),
    row('decode', 'Small, decode, 4 at once', [100, 50], { 'tok/s': 40, 'ms a step': 75, 'GB/s': 30, 'CPU ms a step': 7, 'dispatches a step': 153 }, '16 steps from a context of 256, 1 a plan'),
    row('prefill', 'Small, prefill', [1000], { 'tok/s': 250 }, 'a prompt of 250 tokens, 32 a step'),
    row('decode', 'Small, load', [500], { 'MB/s': 200 }),
    row('synthetic', 'Large, decode, 1 at once', [100], { 'tok/s': 10, 'GB/s': 90 }),
    { kind: 'omitted', part: 'prefill', name: 'the rest', why: 'no time left' },
    { kind: 'end', seconds: 60, failures: [] },
  ];

  test('become the same rows, speeds with a sample for each time', () => {
    const results = dawnResults(LINES);
    requireResults(results, 'results');
    expect(results.clean).toBe(true);
    expect(results.leftOut).toEqual(['prefill: the rest (no time left)']);
    expect(results.rows.filter(({ part }) => part !== 'limits')).toEqual([
      { part: 'matmul', metric: 'matmul', dimensions: { matrix: 'INT4 960x576', tokens: 8 }, unit: 'GMAC/s', better: 'higher', samples: [100, 200, 50], roofline: 0.4 },
      { part: 'attention', metric: 'attention', dimensions: { heads: '9 heads of 64 over 3', context: 256, batch: 16 }, unit: 'GMAC/s', better: 'higher', samples: [1], roofline: 0.6 },
      { part: 'decode', metric: 'decode', dimensions: { model: 'Small', context: 256, batch: 4 }, unit: 'tok/s', better: 'higher', samples: [30, 60], roofline: 45 / 2000 },
      { part: 'decode', metric: 'decode, CPU ms a step', dimensions: { model: 'Small', context: 256, batch: 4 }, unit: 'ms', better: 'lower', samples: [7] },
      { part: 'decode', metric: 'dispatches', dimensions: { model: 'Small', context: 256, batch: 4 }, unit: 'a decode step', better: 'neither', samples: [153] },
      { part: 'prefill', metric: 'prefill', dimensions: { model: 'Small', prompt: 250 }, unit: 'tok/s', better: 'higher', samples: [250], roofline: 0.1 },
      { part: 'decode', metric: 'load', dimensions: { model: 'Small' }, unit: 'MB/s', better: 'higher', samples: [200] },
      { part: 'synthetic', metric: 'decode', dimensions: { model: 'Large', batch: 1 }, unit: 'tok/s', better: 'higher', samples: [10], roofline: 0.9 },
    ]);
    expect(results.rows.filter(({ part }) => part === 'limits')).toContainEqual(expect.objectContaining({ metric: 'read', samples: [100] }));
  });

  test('are read from a file, also of a run that was cut short in the middle of a line', () => {
    const file = temporaryFile('figures.jsonl');
    writeFileSync(file, `${LINES.slice(0, 4).map((line) => JSON.stringify(line)).join('\n')}\n{"kind":"ro`);
    const results = readResults(file);
    expect(results.rows.map(({ part }) => part)).toContain('attention');
    expect(results.caveats).toEqual(['the run was cut short']);
    expect(readFileSync(file, 'utf8')).toContain('"ro');
  });

  test('without a head are none', () => {
    expect(() => dawnResults(LINES.slice(1))).toThrow('head');
  });
});

test('a model’s work is its matrices, of which an embedding is one only where it is the head', async () => {
  const factsOf = (isSoftware: boolean, options: Partial<TinyModelOptions> = {}) => {
    const file = temporaryFile('small.gguf');
    writeFileSync(file, tinyModel({ preset: 'smollm2', type: 'mixed', ...options }));
    return readModelFacts(file, isSoftware);
  };
  const facts = await factsOf(false);
  const layer = 2 * 576 * 576 + 2 * 192 * 576 + 3 * 1536 * 576;
  expect(facts).toMatchObject({ file: 'small.gguf', bodyMacs: layer, headMacs: 512 * 576 });
  // Half a byte and a byte each, and for every 32 of them two f16.
  expect(facts.weightBytes).toBe((layer * 5) / 8 + (512 * 576 * 9) / 8);
  expect(facts.sha256).toMatch(/^[0-9a-f]{64}$/);
  const { bodyMacs, headMacs, weightBytes } = facts;
  expect(await factsOf(false, { tied: false })).toMatchObject({ bodyMacs, headMacs, weightBytes });
  expect(await factsOf(false, { numLayers: 2 })).toMatchObject({ bodyMacs: 2 * layer, headMacs });
  // A software adapter has scales of 4-bit weights in f32.
  expect((await factsOf(true)).weightBytes - weightBytes).toBe(layer / 8);
});
