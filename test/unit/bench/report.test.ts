import { expect, test } from 'vitest';
import type { StepProfile } from '../../../src/core/profile.ts';
import type { PartFigures } from '../../../demo/bench/figures.ts';
import { formatResults } from '../../bench/format.mjs';
import { add, nothingMeasured } from '../../bench/measure.mjs';
import { PARTS } from '../../bench/parts.mjs';
import { type Head, headCaveats, makeResults, type Measured, type ModelFacts, type Results } from '../../bench/report.mjs';
import { requireResults } from '../../bench/results.mjs';
import { rowName } from '../../../demo/bench/rows.mjs';
import { BENCH_HEAD } from '../../support/bench-results.ts';

const ADAPTER = { vendor: 'acme', architecture: 'one', device: '', description: '', isSoftware: false, features: [] };
const request = (textMs: readonly number[]) => {
  return { sentAt: 0, textMs, endMs: textMs.at(-1) ?? 0, promptTokens: 50, cachedTokens: 0, outputTokens: textMs.length };
};
const profileOf = (phase: 'decode' | 'prefill', gbps: number | undefined): StepProfile => ({
  adapter: ADAPTER, limits: undefined, phase, steps: 16, rows: 1, ms: 2, spanMs: 2.5, resolutionUs: 100, lostSpans: 0,
  kernels: [
    { name: 'matmul', calls: 4, ms: 1.5, share: 0.75, bytes: 9, macs: 9, gbps, gflops: 0.0123, ofCeiling: gbps && 0.4567 },
    { name: 'norm', calls: 2.25, ms: 0.5, share: 0.25, bytes: undefined, macs: undefined, gbps: undefined, gflops: undefined, ofCeiling: undefined },
  ],
  dispatches: [],
});
const LIMITS = {
  readGBps: 4321, readBytes: 2 ** 30, f32Gflops: 56789, f16Gflops: undefined, int8Gops: 98.76, dispatchUs: 1.25,
  submitUs: 20, readbackMs: 0.3,
};
const FIGURES = {
  limits: LIMITS,
  engine: {
    adapter: ADAPTER,
    modelName: 'Small',
    loadSeconds: 1.25,
    tuning: {
      state: 'done',
      wallMs: 2345.6,
      gpuMs: 1234.4,
      pipelinesCompiled: 64,
      numKernels: 4,
      kernels: [1.5, 1, 2.25].map((gain) => ({ name: 'matmul', tokens: 1, variant: 'v', gain })),
      rejected: [],
    },
    maxNumBatchedTokens: 256,
    maxStepsPerPlan: 4,
    prefillTokensPerSecond: [300, 100, 200],
    decodeTokensPerSecond: [40, 50],
    perDecodeStep: { dispatches: 305, submits: 1, bindGroupsCreated: 0, bytesReadBack: 64 },
  },
  ttft: { promptTokens: 37, ttftMs: [120] },
  load: {
    seed: 1,
    promptTokens: 50,
    outputTokens: 4,
    aloneMs: 400,
    levels: [
      { concurrency: 1, rate: 2.5, durationMs: 500, requests: [request([100, 150, 200, 250])] },
      { concurrency: 2, rate: 5, durationMs: 500, requests: [request([200, 300]), request([400, 500])] },
    ],
  },
  stall: {
    streams: 4, promptTokens: 2010, aloneSteps: 8, aloneMs: 320, beforeMs: [10, 12, 11], duringMs: [50, 61, 40],
  },
  prefix: { promptTokens: 1011, firstMs: [400, 410], secondMs: [90, 100], cachedTokens: [992, 992] },
  close: { freedMs: [30, 20, 40], pollMs: 0.5 },
  profile: {
    limits: LIMITS,
    decode: profileOf('decode', 12.5),
    prefill: profileOf('prefill', undefined),
  },
  failover: {
    bytesFetched: 0,
    samples: {
      device_lost: [{ injectedMs: 0, recoveringMs: 4, readyMs: 700, firstTextMs: 810 }],
      worker_died: [
        { injectedMs: 0, recoveringMs: 30, readyMs: 900, firstTextMs: 1010 },
        { injectedMs: 1, recoveringMs: 40, readyMs: 920, firstTextMs: 1030 },
      ],
    },
  },
} satisfies Omit<PartFigures, 'start' | 'models' | 'accuracy' | 'reloads' | 'memory' | 'busy'>;

const ASKED = { model: 'Small', promptTokens: 128, decodeTokens: 32 };

/** The state after so many repetitions of all parts. */
function measured(figures: Partial<PartFigures> = FIGURES, repetitions = 1): Measured {
  const state = nothingMeasured();
  for (let i = 0; i < repetitions; i++) {
    for (const part of PARTS) if (part in figures) add(state, part, figures[part] ?? {}, ASKED, 2);
  }
  return state;
}

/** Results of all parts, on the machine of the tests. */
function resultsOf(figures: Partial<PartFigures> = FIGURES, head: Partial<Head> = {}, repetitions = 1): Results {
  return makeResults({ ...BENCH_HEAD, ...head }, measured(figures, repetitions));
}

/** The rows of a part as `metric: samples unit`. */
function rowsOf({ rows }: Pick<Results, 'rows'>, part: string): readonly string[] {
  return rows.filter((row) => row.part === part).map((row) => {
    return `${rowName(row, new Set(['model']))}: ${row.samples.map((value) => Math.round(100 * value) / 100).join(' ')} ${row.unit}`;
  });
}

test('a busy machine, a software adapter, a stand-in model and changed files each make a run unclean', () => {
  const of = (head: Partial<Head>) => headCaveats({ ...BENCH_HEAD, ...head });
  expect(of({})).toEqual([]);
  expect(of({ loadAverage: 2.1 })).toEqual([expect.stringContaining('load average 2.10 on 4 cores')]);
  expect(of({ loadAverage: 2 })).toEqual([]);
  expect(of({ adapter: { ...BENCH_HEAD.adapter, isSoftware: true } })).toEqual([expect.stringContaining('software')]);
  expect(of({ model: { ...(BENCH_HEAD.model as ModelFacts), isStandIn: true } })).toEqual([expect.stringContaining('stand-in')]);
  expect(of({ commit: 'abc1234-dirty.0123abcd' })).toEqual(['files differ from commit abc1234']);
});

test('so do requests that failed, weights that were fetched, and parts that could not be measured', () => {
  const failed = { ...request([]), error: 'queue_full' };
  const load = { ...FIGURES.load, levels: [{ concurrency: 8, rate: 1, durationMs: 9, requests: [failed] }] };
  const failover = { ...FIGURES.failover, bytesFetched: 5 };
  const state = { ...measured({ ...FIGURES, load, failover }), failures: ['stall failed: no tokens'] };
  const results = makeResults(BENCH_HEAD, state);
  expect(results.clean).toBe(false);
  expect(results.caveats).toEqual([
    'stall failed: no tokens',
    '1 requests of 8 at once failed',
    'weights were fetched anew in a failover',
  ]);
  expect(rowsOf(results, 'load')).toContain('failed (prompt 50, answer 4, concurrency 8): 1 requests');
});

test('each part’s figures are rows', () => {
  const results = resultsOf();
  requireResults(results, 'results');
  expect(rowsOf(results, 'engine')).toEqual([
    'load: 1.25 s',
    'prefill (prompt 128): 300 100 200 tok/s',
    'decode (context 128, tokens 32, batch 1): 40 50 tok/s',
    'tokens a step at most: 256 tok',
    'dispatches: 305 a decode step',
    'submits: 1 a decode step',
    'bind groups created: 0 a decode step',
    'bytes read back: 64 a decode step',
    'tuning: 1234.4 ms of GPU time',
  ]);
  expect(rowsOf(results, 'limits')).toEqual([
    'read: 4321 GB/s', 'f32: 56789 GFLOP/s', 'int8: 98.76 GOP/s', 'dispatch: 1.25 us', 'submit: 20 us', 'read-back: 0.3 ms',
  ]);
  expect(rowsOf(results, 'ttft')).toEqual(['TTFT (prompt 37): 120 ms']);
  expect(rowsOf(results, 'load').filter((row) => row.includes('concurrency 2'))).toEqual([
    'output (prompt 50, answer 4, concurrency 2): 8 tok/s',
    'TTFT p50 (prompt 50, answer 4, concurrency 2): 300 ms',
    'TTFT p99 (prompt 50, answer 4, concurrency 2): 398 ms',
    'ITL p50 (prompt 50, answer 4, concurrency 2): 100 ms',
    'ITL p99 (prompt 50, answer 4, concurrency 2): 100 ms',
    'TPOT mean (prompt 50, answer 4, concurrency 2): 100 ms',
    'failed (prompt 50, answer 4, concurrency 2): 0 requests',
    'completed (prompt 50, answer 4, concurrency 2): 2 requests',
    'arrivals (prompt 50, answer 4, concurrency 2): 5 a second',
    'in flight (prompt 50, answer 4, concurrency 2): 1.6 requests',
  ]);
  // The bound is twice 11 ms and a chunk of 40.
  expect(rowsOf(results, 'stall')).toEqual([
    'ITL p50 before (streams 4, prompt 2010): 11 ms',
    'ITL p99 before (streams 4, prompt 2010): 11.98 ms',
    'ITL p99 during (streams 4, prompt 2010): 60.78 ms',
    'ITL p99 during, of its bound (streams 4, prompt 2010): 0.98 times',
    'chunk (streams 4, prompt 2010): 40 ms',
    'chunks (streams 4, prompt 2010): 8 steps',
  ]);
  expect(rowsOf(results, 'prefix')).toEqual([
    'TTFT first (prompt 1011): 400 410 ms',
    'TTFT second (prompt 1011): 90 100 ms',
    'TTFT second, of its bound (prompt 1011): 0.94 times',
    'cached (prompt 1011): 992 992 tok',
  ]);
  expect(rowsOf(results, 'close')).toEqual(['blocks free after: 30 20 40 ms', 'a look: 0.5 ms']);
  expect(rowsOf(results, 'failover')).toEqual([
    'noticed (fault device_lost): 4 ms',
    'ready (fault device_lost): 700 ms',
    'first text (fault device_lost): 810 ms',
    'noticed (fault worker_died): 30 40 ms',
    'ready (fault worker_died): 900 920 ms',
    'first text (fault worker_died): 1010 1030 ms',
    'weights fetched: 0 bytes',
  ]);
});

test('repetitions pool their samples; what a part made itself is kept, and what it left out is told', () => {
  const results = resultsOf(FIGURES, {}, 2);
  expect(rowsOf(results, 'engine')[1]).toBe('prefill (prompt 128): 300 100 200 300 100 200 tok/s');
  expect(rowsOf(results, 'load')[0]).toBe('output (prompt 50, answer 4, concurrency 1): 8 8 tok/s');
  expect(results.parts).toMatchObject({ engine: { repetitions: 2, seconds: 4 }, failover: { repetitions: 2 } });
  const own = { part: 'models', metric: 'decode', dimensions: {}, unit: 'tok/s', better: 'higher', samples: [3], roofline: 0.1 };
  const state = nothingMeasured();
  for (let i = 0; i < 2; i++) add(state, 'models', { rows: [own], omitted: [{ what: 'a shape', why: 'no time' }] }, ASKED, 2);
  expect(makeResults(BENCH_HEAD, state)).toMatchObject({
    rows: [{ ...own, samples: [3, 3] }], leftOut: ['models: a shape (no time)'], details: { models: [] },
  });
});

test('the table says what was measured, on what, how far it scatters, and whether to believe it', () => {
  const table = formatResults(resultsOf());
  const told = ['acme one (no optional features)', 'Chromium 150.0, commit abc1234', '0.20 on 4 cores', 'Small (small.gguf)'];
  for (const words of told) expect(table).toContain(words);
  expect(table).toContain(`3 of 4 kernels tried in 1234 ms of the GPU's time; 2 gained: 1.88 [1.50..2.25] times as fast`);
  expect(table).toMatch(/^ {2}prefill \(prompt 128\) +200 \[100\.\.300\] tok\/s +95 %: 100\.\.300 +n = 3 +\d+\.\d % of ceiling$/m);
  expect(table).toMatch(/^ {2}decode \(context 128, tokens 32, batch 1\) +45 \[40\.\.50\] tok\/s +n = 2/m);
  expect(table).toMatch(/^load, prompt 50, answer 4$/m);
  expect(formatResults(resultsOf(FIGURES, {}, 3))).toMatch(/^ {2}dispatches +305 a decode step +n = 3$/m);
  expect(table).toMatch(/\n\nClean run\.$/);
  const off = { ...FIGURES.engine, tuning: { state: 'off', wallMs: 0, gpuMs: 0, pipelinesCompiled: 0, numKernels: 4, kernels: [], rejected: [] } } as const;
  expect(formatResults(resultsOf({ ...FIGURES, engine: off }))).toMatch(/^tuning +off: 4 kernels as they are by default$/m);
  expect(formatResults(resultsOf(FIGURES, { loadAverage: 9 }))).toMatch(/\nNOT a clean run: .*load average 9\.00.*\.$/);
});

test('a profile is a table of kernels', () => {
  const table = formatResults(resultsOf());
  expect(table).toContain('16 decode steps of 1.0 tokens: 2.000 ms of kernels in 2.500 ms a step (timestamps in steps of 100 us)');
  expect(table).toContain('  kernel  calls     ms   share  GB/s  GFLOP/s  % of ceiling\n');
  expect(table).toContain('  matmul      4  1.500  75.0 %  12.5   0.0123        45.7 %\n');
  expect(table).toContain('  matmul      4  1.500  75.0 %     -   0.0123             -\n');
  expect(table).toContain('  norm      2.3  0.500  25.0 %     -        -             -\n');
});

test('of a load’s requests the details keep all but each token’s time, of a profile all but each dispatch’s', () => {
  const { load: [detail], ttft, profile } = resultsOf().details as Record<'load' | 'ttft' | 'profile', readonly unknown[]>;
  expect(detail).toMatchObject({ seed: 1, aloneMs: 400, levels: [{ concurrency: 1, requests: [{ ttftMs: 100, endMs: 250 }] }, {}] });
  expect(JSON.stringify(detail)).not.toContain('textMs');
  expect(ttft).toEqual([{ promptTokens: 37, ttftMs: [120] }]);
  expect(profile).toMatchObject([{ decode: { phase: 'decode', kernels: [{ name: 'matmul', calls: 4 }, {}] } }]);
  expect(JSON.stringify(profile)).not.toContain('dispatches');
});
