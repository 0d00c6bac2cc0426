import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { plotSpecs, writePlots } from '../../bench/plot.mjs';
import { benchResults, benchRow } from '../../support/bench-results.ts';

const decode = (context: number, batch: number, samples: readonly number[]) =>
  benchRow('decode', samples, { part: 'models', dimensions: { model: 'Small', context, batch }, roofline: 0.25 });
const ttft = (percentile: number, concurrency: number, ms: number) =>
  benchRow(`TTFT p${percentile}`, [ms], { part: 'load', unit: 'ms', better: 'lower', dimensions: { concurrency } });

const RESULTS = benchResults([
  ...[128, 1024].flatMap((context) => [decode(context, 1, [40, 50, 20]), decode(context, 4, [100, 80, 90])]),
  ...[1, 2].flatMap((concurrency) => [ttft(50, concurrency, 100 * concurrency), ttft(99, concurrency, 300 * concurrency)]),
]);

/** What a picture draws. */
function valuesOf(results: typeof RESULTS, name: string): readonly unknown[] {
  const spec = plotSpecs(results)[name];
  if (typeof spec !== 'object') throw new Error(`no ${name}: ${spec}`);
  return (spec as { readonly data: { readonly values: readonly unknown[] } }).data.values;
}

test('throughput is over the batch, a line for each context', () => {
  expect(valuesOf(RESULTS, 'throughput-by-batch').slice(0, 2)).toEqual([
    { x: 1, line: 'models: decode (context 128)', y: 40, low: 20, high: 50 },
    { x: 4, line: 'models: decode (context 128)', y: 90, low: 80, high: 100 },
  ]);
});

test('ITL is the milliseconds of one sequence’s token', () => {
  expect(valuesOf(RESULTS, 'itl-by-context')).toContainEqual({
    x: 1024, line: 'models: decode (batch 4)', y: 4000 / 90, low: 40, high: 50,
  });
});

test('TTFT under load has p50 and p99', () => {
  expect(valuesOf(RESULTS, 'ttft-under-load')).toEqual([
    { x: 1, line: 'load: TTFT p50', y: 100, low: 100, high: 100 },
    { x: 1, line: 'load: TTFT p99', y: 300, low: 300, high: 300 },
    { x: 2, line: 'load: TTFT p50', y: 200, low: 200, high: 200 },
    { x: 2, line: 'load: TTFT p99', y: 600, low: 600, high: 600 },
  ]);
});

test('the roofline marks what cannot be', () => {
  const results = benchResults([decode(128, 1, [9]), { ...decode(128, 4, [9]), roofline: 1.3 }]);
  expect(valuesOf(results, 'roofline')).toEqual([
    { name: 'models: decode (batch 1)', share: 0.25, label: '25 %', kind: 'of the ceiling' },
    { name: 'models: decode (batch 4)', share: 1.3, label: '130 %', kind: 'above the ceiling: a mistake' },
  ]);
});

test('pictures are drawn for light and dark pages, with titles, units and what speaks against the run', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tabserve-plots-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const busy = { ...RESULTS, clean: false, caveats: ['the adapter is software'] };
  await writePlots(busy, folder);
  const names = ['itl-by-context', 'roofline', 'throughput-by-batch', 'ttft-under-load'];
  expect(readdirSync(folder).toSorted()).toEqual(names.flatMap((name) => [`${name}.dark.svg`, `${name}.light.svg`]));
  const light = readFileSync(join(folder, 'itl-by-context.light.svg'), 'utf8');
  const dark = readFileSync(join(folder, 'itl-by-context.dark.svg'), 'utf8');
  for (const text of ['Time between two tokens', 'milliseconds a token', 'context, tokens', 'commit abc1234', 'NOT a clean run: the adapter is software']) {
    expect(light).toContain(text);
    expect(dark).toContain(text);
  }
  expect(light).toContain('#ffffff');
  expect(dark).toContain('#0d1117');
});

test('what has no rows is not drawn, and that is said', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tabserve-plots-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const alone = benchRow('output', [3], { part: 'other', dimensions: { concurrency: 4, model: 'Large' } });
  const lines = await writePlots(benchResults([benchRow('TTFT', [3], { part: 'ttft', unit: 'ms' }), alone]), folder);
  expect(lines).toHaveLength(4);
  expect(lines).toContain('throughput-by-batch: not drawn, the results have no speeds of two batches or numbers of requests at once');
  expect(readdirSync(folder)).toEqual([]);
});
