import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { budgetOf, GRACE_SECONDS, PARTS, readOptions, sizesFor } from '../../bench/dawn/options.ts';
import { packBench } from '../../bench/dawn/pack.mjs';
import { formatRow, Report, type Row } from '../../bench/dawn/report.ts';
import { BENCH_HEAD } from '../../support/bench-results.ts';
import { Budget } from '../../../demo/bench/models/budget.ts';

const ROW: Row = {
  part: 'matmul',
  name: 'INT4 64x32, M = 1',
  counts: 'a dispatch',
  samples: [3, 1, 2.5],
  figures: { 'GMAC/s': 12.345678, 'GB/s': 1234.56 },
};
const HEAD = { ...BENCH_HEAD, suite: 'dawn' };

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tabserve-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

describe('the report', () => {
  const linesOf = (file: string): unknown[] =>
    readFileSync(file, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as unknown);

  test('has each row in its file at once', () => {
    const file = join(temporaryFolder(), 'figures.jsonl');
    const printed: string[] = [];
    const report = new Report(file, (line) => printed.push(line));
    report.head(HEAD);
    expect(linesOf(file)).toEqual([{ kind: 'head', ...HEAD }]);
    report.row(ROW);
    expect(linesOf(file).slice(1)).toEqual([{ kind: 'row', ...ROW, medianMs: 2.5, repeats: 3 }]);
    report.omit('batch', 'the rest', 'no time left');
    report.end(12);
    expect(linesOf(file).slice(2)).toEqual([
      { kind: 'omitted', part: 'batch', name: 'the rest', why: 'no time left' },
      { kind: 'end', seconds: 12, failures: [] },
    ]);
    expect(printed.at(-1)).toContain('Clean run.');
  });

  test('a run on a busy machine is not clean, and says so first', () => {
    const printed: string[] = [];
    const report = new Report(undefined, (line) => printed.push(line));
    report.head({ ...HEAD, loadAverage: 2.25 });
    expect(printed.at(-1)).toMatch(/^WARNING: .*load average 2\.25/);
    report.end(1);
    expect(printed.at(-1)).toMatch(/NOT a clean run: .*load average 2\.25/);
  });

  test('so is one with a row above the ceiling, or with a part that failed', () => {
    const printed: string[] = [];
    const report = new Report(undefined, (line) => printed.push(line));
    report.row({ ...ROW, figures: { ...ROW.figures, 'of the read ceiling': 1.09 } });
    expect(printed.join()).not.toContain('WARNING');
    report.row({ ...ROW, figures: { ...ROW.figures, 'of the read ceiling': 1.2 } });
    expect(printed.at(-1)).toMatch(/^WARNING: matmul: INT4 64x32, M = 1 reads 1\.20 times/);
    report.failure('decode failed');
    report.end(1);
    expect(printed.at(-1)).toMatch(/NOT a clean run: matmul: .*; decode failed\./);
  });

  test('a row has the median, its range, how many, of what, and the figures', () => {
    expect(formatRow(ROW)).toBe(
      'matmul     INT4 64x32, M = 1: GMAC/s 12.35, GB/s 1235 (2.500 [1.000..3.000] ms, median of 3 x a dispatch)',
    );
    expect(formatRow({ ...ROW, samples: [4] })).toContain('(4.000 ms, median of 1 x a dispatch)');
  });
});

describe('options', () => {
  test('parts come in their own order, and unknown ones are refused', () => {
    expect(readOptions([]).parts).toEqual(PARTS);
    expect(readOptions(['--only', 'decode, limits']).parts).toEqual(['limits', 'decode']);
    expect(() => readOptions(['--only', 'decode,nothing'])).toThrow(/no "nothing"/);
    expect(() => readOptions(['--shapes', '70b'])).toThrow(/no "70b"/);
    expect(() => readOptions(['--patience', '0'])).toThrow(/above 0/);
  });

  test('everything ends within ten minutes on a GPU, unless told', () => {
    const seconds = (patience: number): number =>
      PARTS.reduce((sum, part) => sum + budgetOf(part, false, { patience }), GRACE_SECONDS);
    expect(seconds(readOptions([]).patience)).toBeLessThanOrEqual(600);
    expect(seconds(2)).toBeGreaterThan(1000);
    expect(budgetOf('decode', true, { patience: 1 })).toBeGreaterThan(budgetOf('decode', false, { patience: 1 }));
  });

  test('a software adapter gets no large model unless asked', () => {
    const options = { quick: false, shapes: undefined };
    expect(sizesFor(true, options).shapes).toEqual(['135m']);
    expect(sizesFor(false, options).shapes).toEqual(['135m', '0.6b', '1b', '8b']);
    expect(sizesFor(true, { ...options, shapes: ['1b'] }).shapes).toEqual(['1b']);
  });
});

describe('a budget', () => {
  test('lets something be repeated until its time is over, and once in any case', async () => {
    let now = 0;
    const budget = new Budget(10, () => now);
    const measure = async (): Promise<number> => {
      now += 4000;
      return now;
    };
    expect(await budget.repeat(2, measure)).toEqual([4000, 8000]);
    expect(await budget.repeat(9, measure)).toEqual([12_000]);
    expect(budget.isSpent).toBe(true);
    expect(await budget.repeat(9, measure)).toEqual([16_000]);
  });
});

test('packed, it is one file that needs Node and nothing else to start', async () => {
  const file = join(temporaryFolder(), 'bench.mjs');
  await packBench(file);
  const code = readFileSync(file, 'utf8');
  const imports = [...code.matchAll(/^import\b.*?"(?<from>[^"]+)";/gm)].map((match) => match.groups?.['from']);
  expect(imports.filter((from) => from?.startsWith('node:') !== true)).toEqual([]);
  expect(code).toContain('@compute');
  const { stderr, status } = spawnSync(process.execPath, [file, '--only', 'nothing'], { encoding: 'utf8' });
  expect(stderr).toContain('there is no "nothing"');
  expect(status).not.toBe(0);
});
