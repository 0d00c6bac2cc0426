import { expect, test } from 'vitest';
import { caveats, formatReport, makeReport, median } from '../../bench/report.mjs';
import type { BenchFigures } from '../../bench/figures.ts';

const ADAPTER = { vendor: 'acme', architecture: 'one', device: '', description: '', isSoftware: false, features: [] };
const IDLE = { average: 0.2, cores: 4 };
const FIGURES: BenchFigures = {
  engine: {
    adapter: ADAPTER,
    modelName: 'Small',
    loadSeconds: 1.25,
    maxNumBatchedTokens: 256,
    maxStepsPerPlan: 4,
    prefillTokensPerSecond: [300, 100, 200],
    decodeTokensPerSecond: [40, 50],
    perDecodeStep: { dispatches: 305, submits: 1, bindGroupsCreated: 0, bytesReadBack: 64 },
  },
  client: { promptTokens: 37, ttftMs: [120] },
};

test('the median, of odd and even many', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNaN();
});

test('a busy machine, a software adapter and a stand-in model each make a run unclean', () => {
  expect(caveats(IDLE, ADAPTER, false)).toEqual([]);
  expect(caveats({ average: 2.1, cores: 4 }, ADAPTER, false)).toEqual([expect.stringContaining('load average 2.10')]);
  expect(caveats(IDLE, { ...ADAPTER, isSoftware: true }, false)).toEqual([expect.stringContaining('software')]);
  expect(caveats(IDLE, ADAPTER, true)).toEqual([expect.stringContaining('stand-in')]);
});

test('the table says what was measured, on what, and whether to believe it', () => {
  const options = { promptTokens: 128, decodeTokens: 32, repeats: 3 };
  const model = { file: 'small.gguf', isStandIn: false };
  const table = formatReport(makeReport(FIGURES, options, IDLE, model));
  const rows = ['acme one', '0.20 on 4 cores', 'small.gguf', '200.0 [100.0..300.0] tok/s', '45.0 [40.0..50.0] tok/s'];
  for (const words of [...rows, '120 ms', 'dispatches', '305 per', '64 per']) expect(table).toContain(words);
  expect(table).toMatch(/\nClean run\.$/);
  const busy = makeReport(FIGURES, options, { average: 9, cores: 4 }, model);
  expect(busy.clean).toBe(false);
  expect(formatReport(busy)).toMatch(/\nNOT a clean run: .*load average 9\.00.*\.$/);
});
