import { describe, expect, test } from 'vitest';
import { readOptions } from '../../bench/options.mjs';
import { chooseParts, leftOut, PARTS } from '../../bench/parts.mjs';
import { FIRST_FACTS, requireSame, resumedHead } from '../../bench/run-bench.mjs';
import { BENCH_HEAD } from '../../support/bench-results.ts';

describe('parts', () => {
  test('are chosen by name, and keep their order; the ceilings are always among them', () => {
    expect(chooseParts(undefined)).toEqual(PARTS);
    expect(chooseParts('failover, load')).toEqual(['limits', 'load', 'failover']);
    expect(() => chooseParts('load,prefetch')).toThrow('there is no "prefetch", only start, engine, models, accuracy, reloads, memory,');
  });

  test('that are left out are named, and what a quick run leaves out', () => {
    expect(leftOut(['limits', 'ttft'], true)).toEqual([
      'start, engine, models, accuracy, reloads, memory, busy, load, stall, prefix, close, profile, failover (--only)',
      'most repeats (--quick)',
    ]);
    expect(leftOut(PARTS, true)).toEqual(['load of 2, 8, 16 at once (--quick)', 'most repeats (--quick)']);
    expect(leftOut(PARTS, false)).toEqual([]);
  });
});

describe('options', () => {
  test('say what is measured, how often, and where results go', () => {
    expect(readOptions([])).toMatchObject({ repeat: 1, threshold: 0.05, parts: PARTS, sizes: { quick: false, repeats: 3 } });
    expect(readOptions(['--quick', '--repeat', '3', '--rate', '2.5'])).toMatchObject({
      repeat: 3, sizes: { quick: true, decodeTokens: 32, repeats: 1, rate: 2.5 },
    });
    expect(readOptions(['--resume', 'a.json']).json).toBe('a.json');
    expect(readOptions(['--resume', 'a.json', '--json', 'b.json']).json).toBe('b.json');
    expect(readOptions(['--compare', 'a.json', 'b.json', '--threshold', '10'])).toMatchObject({ files: ['a.json', 'b.json'], threshold: 0.1 });
  });

  test.each([
    [['--repeat', '0'], 'above 0'],
    [['--repeat', '1.5'], 'whole number'],
    [['--rate', 'fast'], 'above 0'],
    [['--compare', 'a.json'], 'takes 2 files'],
    [['--plot', 'a.json'], '--out'],
    [['a.json'], 'takes 0 files'],
    [['--fast'], '--fast'],
  ])('%j is refused', (args, message) => {
    expect(() => readOptions(args)).toThrow(message);
  });
});

describe('a run that goes on with another', () => {
  test('has the first one’s date, the greater load, and both commands', () => {
    const before = { ...BENCH_HEAD, loadAverage: 1.5 };
    const now = { ...BENCH_HEAD, date: '2027-01-01T00:00:00.000Z', command: 'again' };
    expect(resumedHead(now, before)).toEqual({ ...before, command: 'npm run bench; again' });
    expect(resumedHead({ ...now, command: before.command }, before)).toEqual(before);
    const twice = { ...before, command: 'npm run bench; again' };
    expect(resumedHead(now, twice)).toEqual(twice);
  });

  test.each([
    ['commit', 'def5678'],
    ['runtime', 'Chromium 151.0'],
    ['suite', 'dawn'],
    ['options', { quick: true }],
    ['cpu', 'another'],
  ])('does not begin where the %s is another', (fact, value) => {
    requireSame(FIRST_FACTS, BENCH_HEAD, BENCH_HEAD);
    expect(() => requireSame(FIRST_FACTS, { ...BENCH_HEAD, [fact]: value }, BENCH_HEAD)).toThrow(`another ${fact}`);
  });

  test.each([
    ['adapter', { ...BENCH_HEAD.adapter, architecture: 'two' }],
    ['model', null],
  ])('ends where the %s turns out to be another', (fact, value) => {
    expect(() => resumedHead({ ...BENCH_HEAD, [fact]: value }, BENCH_HEAD)).toThrow(`another ${fact}`);
  });

  test('does not begin where nobody knows whether the files are as they were', () => {
    const unknown = { ...BENCH_HEAD, commit: 'unknown' };
    expect(() => requireSame(FIRST_FACTS, unknown, unknown)).toThrow('without git');
    const dirty = { ...BENCH_HEAD, commit: 'abc1234-dirty.0123abcd' };
    requireSame(FIRST_FACTS, dirty, dirty);
  });
});
