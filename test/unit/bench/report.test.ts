import { describe, expect, test } from 'vitest';
import type { StepProfile } from '../../../src/core/profile.ts';
import type { BenchFigures } from '../../bench/figures.ts';
import { formatReport } from '../../bench/format.mjs';
import { chooseParts, leftOut, PARTS } from '../../bench/parts.mjs';
import { caveats, makeReport } from '../../bench/report.mjs';

const ADAPTER = { vendor: 'acme', architecture: 'one', device: '', description: '', isSoftware: false, features: [] };
const IDLE = { average: 0.2, cores: 4 };
const OPTIONS = { quick: false, promptTokens: 128, decodeTokens: 32, repeats: 3 };
const MODEL = { file: 'small.gguf', isStandIn: false };
const RUN = { parts: PARTS, failures: [] };
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
const FIGURES = {
  subject: { adapter: ADAPTER, modelName: 'Small' },
  engine: {
    adapter: ADAPTER,
    modelName: 'Small',
    loadSeconds: 1.25,
    tuning: {
      state: 'done',
      gpuMs: 1234.4,
      numKernels: 4,
      kernels: [1.5, 1, 2.25].map((gain) => ({ name: 'matmul', tokens: 1, variant: 'v', gain })),
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
    limits: {
      readGBps: 4321, readBytes: 2 ** 30, f32Gflops: 56789, f16Gflops: undefined, int8Gops: 98.76, dispatchUs: 1.25,
      submitUs: 20, readbackMs: 0.3,
    },
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
} satisfies BenchFigures;

const TUNED = `3 of 4 kernels raced in 1234 ms of the GPU's time; 2 gained: 1.88 [1.50..2.25] times as fast`;

test('a busy machine, a software adapter and a stand-in model each make a run unclean', () => {
  expect(caveats(IDLE, ADAPTER, false)).toEqual([]);
  expect(caveats({ average: 2.1, cores: 4 }, ADAPTER, false)).toEqual([expect.stringContaining('load average 2.10')]);
  expect(caveats(IDLE, { ...ADAPTER, isSoftware: true }, false)).toEqual([expect.stringContaining('software')]);
  expect(caveats(IDLE, ADAPTER, true)).toEqual([expect.stringContaining('stand-in')]);
});

test('so do requests that failed, weights that were fetched, and parts that could not be measured', () => {
  const failed = { ...request([]), error: 'queue_full' };
  const load = { ...FIGURES.load, levels: [{ concurrency: 8, rate: 1, durationMs: 9, requests: [failed] }] };
  const failover = { ...FIGURES.failover, bytesFetched: 5 };
  const run = { parts: PARTS, failures: ['stall failed: no tokens'] };
  const { stall: _, ...others } = FIGURES;
  const report = makeReport({ ...others, load, failover }, OPTIONS, IDLE, MODEL, run);
  expect(report.clean).toBe(false);
  expect(report.caveats).toEqual([
    'stall failed: no tokens',
    '1 requests of 8 at once failed',
    'weights were fetched anew in a failover',
  ]);
});

test('a profile is a table of kernels under the adapter’s ceilings', () => {
  const table = formatReport(makeReport(FIGURES, OPTIONS, IDLE, MODEL, RUN));
  expect(table).toContain('reads 4321 GB/s (of 1024 MiB), f32 56789 GFLOP/s, dot4I8Packed 98.8 GOP/s; dispatch 1.3 us, submit 20 us');
  expect(table).toContain('16 decode steps of 1.0 tokens: 2.000 ms of kernels in 2.500 ms a step (timestamps in steps of 100 us)');
  expect(table).toContain('  kernel  calls     ms   share  GB/s  GFLOP/s  % of ceiling\n');
  expect(table).toContain('  matmul      4  1.500  75.0 %  12.5   0.0123        45.7 %\n');
  expect(table).toContain('  matmul      4  1.500  75.0 %     -   0.0123             -\n');
  expect(table).toContain('  norm      2.3  0.500  25.0 %     -        -             -\n');
});

test('the table says what was measured, on what, and whether to believe it', () => {
  const table = formatReport(makeReport(FIGURES, OPTIONS, IDLE, MODEL, RUN));
  const rows = ['acme one', '0.20 on 4 cores', 'small.gguf', '200.0 [100.0..300.0] tok/s', '45.0 [40.0..50.0] tok/s'];
  for (const words of [...rows, '120 ms', TUNED, 'dispatches', '305 per', '64 per']) expect(table).toContain(words);
  expect(table).toMatch(/\n\nClean run\.$/);
  const off = { ...FIGURES.engine, tuning: { state: 'off', gpuMs: 0, numKernels: 4, kernels: [] } } as const;
  const untuned = formatReport(makeReport({ ...FIGURES, engine: off }, OPTIONS, IDLE, MODEL, RUN));
  expect(untuned).toMatch(/^tuning +off: 4 kernels as they are by default$/m);
  const busy = makeReport(FIGURES, OPTIONS, { average: 9, cores: 4 }, MODEL, RUN);
  expect(busy.clean).toBe(false);
  expect(formatReport(busy)).toMatch(/\nNOT a clean run: .*load average 9\.00.*\.$/);
});

test('the table has a row for each load, and for each other part', () => {
  const table = formatReport(makeReport(FIGURES, OPTIONS, IDLE, MODEL, RUN));
  expect(table.split('\n').filter((line) => /^(load,|long|shared|closed|device|worker)/.test(line))).toEqual([
    'load, 1 at once    8.0 tok/s out; TTFT 100.0 / 100.0 ms, ITL 50.0 / 50.0 ms, TPOT 50.0 ms ' +
      '(1 done, 0 failed; 50+4 tokens; 2.50 arrivals/s, 0.5 in flight)',
    'load, 2 at once    8.0 tok/s out; TTFT 300.0 / 398.0 ms, ITL 100.0 / 100.0 ms, TPOT 100.0 ms ' +
      '(2 done, 0 failed; 50+2 tokens; 5.00 arrivals/s, 1.6 in flight)',
    'long prompt        ITL of 4 streams 11.0 / 12.0 ms before, p99 60.8 ms (of 3) during ' +
      'a prompt of 2010 tokens (8 chunks of 40.0 ms); within 62.0 ms',
    'shared prompt      TTFT 405 [400..410] ms, then 95 [90..100] ms in another session ' +
      '(1011 tokens, 992 of them cached): 4.3 times; within a quarter',
    'closed tab         blocks free after 30.0 [20.0..40.0] ms (a look takes 0.5 ms)',
    'device_lost        810 ms from the last text before to the first after (noticed after 4, ready after 700)',
    'worker_died        1020 [1010..1030] ms from the last text before to the first after ' +
      '(noticed after 35, ready after 910)',
  ]);
});

test('a bound that does not hold is said to be above', () => {
  const stall = { ...FIGURES.stall, duringMs: [50, 65, 65] };
  const prefix = { ...FIGURES.prefix, secondMs: [110, 120] };
  const report = makeReport({ ...FIGURES, stall, prefix }, OPTIONS, IDLE, MODEL, RUN);
  expect([report.stall?.isWithinBound, report.prefix?.isWithinBound]).toEqual([false, false]);
  expect(formatReport(report)).toContain('ABOVE 62.0 ms');
  expect(formatReport(report)).toContain('ABOVE a quarter');
});

test('the figures have a version, and survive JSON', () => {
  const report = makeReport(FIGURES, OPTIONS, IDLE, MODEL, RUN);
  const read: unknown = JSON.parse(JSON.stringify(report));
  expect(read).toMatchObject({
    version: 1,
    leftOut: [],
    prefillTokensPerSecond: 200,
    load: { seed: 1, aloneMs: 400, levels: [{ concurrency: 1, outputTokensPerSecond: 8 }, { concurrency: 2 }] },
    stall: { chunkMs: 40, boundMs: 62, isWithinBound: true },
    prefix: { firstTtftMs: 405, secondTtftMs: 95, isWithinBound: true },
    close: { freedMs: 30 },
    failover: { device_lost: { firstTextMs: 810 }, worker_died: { recoveringMs: 35, firstTextMs: 1020 } },
    samples: { load: [{ requests: [{ ttftMs: 100, tpotMs: 50, e2eMs: 250 }] }, { concurrency: 2 }] },
  });
});

describe('parts', () => {
  test('are chosen by name, and keep their order', () => {
    expect(chooseParts(undefined)).toEqual(PARTS);
    expect(chooseParts('failover, load')).toEqual(['load', 'failover']);
    expect(() => chooseParts('load,prefetch')).toThrow('there is no "prefetch", only engine, models, ttft, load,');
  });

  test('that are left out are named, and what a quick run leaves out', () => {
    const { subject, ttft } = FIGURES;
    const report = makeReport({ subject, ttft }, { ...OPTIONS, quick: true }, IDLE, MODEL, { ...RUN, parts: ['ttft'] });
    const table = formatReport(report);
    expect(table).not.toContain('prefill');
    expect(table).toContain(
      '\nLeft out: engine, models, load, stall, prefix, close, profile, failover (--only); most repeats (--quick).\nClean run.',
    );
    expect(leftOut(PARTS, true)).toEqual(['load of 2, 8, 16 at once (--quick)', 'most repeats (--quick)']);
  });
});
