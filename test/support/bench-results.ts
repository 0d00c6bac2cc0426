import type { BenchRow } from '../../demo/bench/row.ts';
import { type Head, makeResults, type Measured, type Results } from '../bench/report.mjs';

/** An idle machine with a GPU. */
export const BENCH_HEAD: Head = {
  suite: 'chromium',
  version: '1.2.3',
  commit: 'abc1234',
  date: '2026-01-02T03:04:05.678Z',
  command: 'npm run bench',
  runtime: 'Chromium 150.0',
  os: 'Linux 6',
  cpu: 'acme cpu x 4',
  cores: 4,
  loadAverage: 0.2,
  adapter: { vendor: 'acme', architecture: 'one', device: '', description: '', isSoftware: false, features: [] },
  options: { quick: false },
  model: {
    name: 'Small',
    file: 'small.gguf',
    bytes: 90_000_000,
    sha256: '0'.repeat(64),
    isStandIn: false,
    weightBytes: 100_000_000,
    bodyMacs: 100_000_000,
    headMacs: 25_000_000,
  },
};

/** A speed by default. */
export function benchRow(metric: string, samples: readonly number[], others: Partial<BenchRow> = {}): BenchRow {
  return { part: 'engine', metric, dimensions: {}, unit: 'tok/s', better: 'higher', samples, ...others };
}

/** Ceilings, of which 100 GB/s of reading leave room for 1,000 steps a second, and 500 GFLOP/s for 2,000 tokens. */
export const BENCH_CEILINGS: readonly BenchRow[] = [
  benchRow('read', [100], { part: 'limits', unit: 'GB/s' }),
  benchRow('f32', [500], { part: 'limits', unit: 'GFLOP/s' }),
  benchRow('int8', [2000], { part: 'limits', unit: 'GOP/s' }),
];

/** Results of rows with ceilings beside them. */
export function benchResults(rows: readonly BenchRow[], head: Partial<Head> = {}, measured: Partial<Measured> = {}): Results {
  const parts = Object.fromEntries(rows.map(({ part }) => [part, { repetitions: 1, seconds: 2 }]));
  const all = { parts, rows: [...BENCH_CEILINGS, ...rows], details: {}, failures: [], leftOut: [], ...measured };
  return makeResults({ ...BENCH_HEAD, ...head }, all);
}
