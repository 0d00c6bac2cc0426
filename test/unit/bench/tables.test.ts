import { expect, test } from 'vitest';
import { benchmarksPage, rewriteBlocks, rewritePeers } from '../../bench/tables.mjs';
import { BENCH_HEAD, benchResults, benchRow } from '../../support/bench-results.ts';

const RUN = benchResults([
  benchRow('decode', [12, 14, 11], { dimensions: { model: 'Small', batch: 1 } }),
  ...[1, 4].flatMap((concurrency) => [
    benchRow('output', [2000 * concurrency], { part: 'load', dimensions: { model: 'Small', concurrency } }),
    benchRow('TTFT p50', [1234.5], { part: 'load', dimensions: { model: 'Small', concurrency }, unit: 'ms', better: 'lower' }),
  ]),
], { loadAverage: 3 });
const RESULTS = new Map([['run', RUN]]);

/** What stands in a block. */
function block(marker: string): string {
  const text = rewriteBlocks(`before\n<!-- bench:${marker} -->\nold\n<!-- /bench -->\nafter\n`, RESULTS);
  expect(text).toMatch(/^before\n<!-- bench:.* -->\n\n[^]*\n\n<!-- \/bench -->\nafter\n$/);
  expect(rewriteBlocks(text, RESULTS)).toBe(text);
  return text;
}

test('docs/benchmarks.md has the figures of the committed results (npm run docs writes it)', () => {
  const { is, should } = benchmarksPage([]);
  expect(is).toContain('<!-- bench:');
  expect(is).toContain('<!-- peers:');
  expect(is).toBe(should);
});

test('a block is a table of a run’s rows, under what it was run on and what speaks against it', () => {
  const text = block('run engine');
  expect(text).toContain('| decode | 12 [11..14] tok/s, 1 % of the ceiling |\n');
  const facts = [BENCH_HEAD.command, '2026-01-02', 'abc1234', 'Chromium 150.0 on acme one', 'load average 3.00', 'Small (small.gguf)'];
  const caption = text.replaceAll('\n', ' ');
  for (const words of facts) expect(caption).toContain(words);
  expect(caption).toContain('**Not a clean run, so no measure of tabserve:** the machine is busy');
  expect(text).not.toContain('old');
});

test('by a dimension, a row is one of its values, and what is above the ceiling is marked', () => {
  expect(block('run load by concurrency')).toContain([
    '| concurrency | output, tok/s | TTFT p50, ms |',
    '|--:|--:|--:|',
    '| 1 | 2,000 (above the ceiling) | 1,235 |',
    '| 4 | 8,000 (above the ceiling) | 1,235 |',
    '',
  ].join('\n'));
});

test('blocks of what was not measured, or that do not end, are refused', () => {
  expect(() => rewriteBlocks('<!-- bench:other engine -->\n<!-- /bench -->', RESULTS)).toThrow('no results other.json');
  expect(() => rewriteBlocks('<!-- bench:run stall -->\n<!-- /bench -->', RESULTS)).toThrow('no rows of stall');
  expect(() => rewriteBlocks('<!-- bench:run engine -->\n', RESULTS)).toThrow('1 blocks');
  expect(() => rewriteBlocks('<!-- bench:run -->\n<!-- /bench -->', RESULTS)).toThrow('1 blocks');
});

test('a table of peers is that of its report, and one without is refused', () => {
  const head = {
    date: '2026-01-02T03:04:05Z', commit: 'abc1234', command: 'npm run bench:peers', model: 'm.gguf', prompt: { name: 'chat', tokens: 9 },
    outputTokens: 4, requests: 4, repeats: 1, adapter: 'acme', isSoftware: false, browser: 'Chromium 150', os: '', cpu: '', cores: 2,
    loadAverage: 0.1, engines: [], caveats: ['a quick run'],
  };
  const dimensions = { engine: 'tabserve', backend: 'webgpu', weights: 'Q4_1' };
  const rows = [{ part: 'peers', metric: 'decode', dimensions, unit: 'tok/s', better: 'higher' as const, samples: [12] }];
  const report = { version: 1, head, rows, omitted: [{ what: 'webllm', why: 'no f16' }] };
  const text = rewritePeers('a\n<!-- peers:one -->\nold\n<!-- /peers -->\nb\n', new Map([['one', report]]));
  for (const words of ['`npm run bench:peers`, 2026-01-02, commit abc1234', 'tabserve webgpu Q4_1', '12.0', 'webllm: no f16', 'NOT a clean run']) expect(text).toContain(words);
  expect(text).not.toContain('old');
  expect(() => rewritePeers('<!-- peers:two -->\n<!-- /peers -->', new Map())).toThrow('peers:two');
});
