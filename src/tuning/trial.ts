import type { Trial } from './tunable.ts';

/** The fastest variant of a trial. */
export interface TrialResult {
  readonly variant: string;
  /** Milliseconds of its dispatch, and of the first variant's. */
  readonly ms: number;
  readonly firstMs: number;
}

/** The least milliseconds of a run that counts: long enough for the clock, short enough for a request that waits. */
const RUN_MS = 3;
/** It also takes at least this many steps of the clock and this many empty submits, so that their noise matters little. */
const RUN_STEPS = 20;
const RUN_IDLES = 3;
/** The most milliseconds of a run: a request may be waiting for its end. */
const MAX_RUN_MS = 50;
/** Screening runs are shorter, and only show which variants are far behind. */
const SCREENING_SHARE = 4;
const MAX_LAG = 1.5;
const MAX_FINALISTS = 4;
const ROUNDS = 3;
const MAX_DISPATCHES = 2048;
/** The most that the work grows from one run to the next. */
const MAX_GROWTH = 8;
/** The least gain over the first variant that counts: smaller ones are within the noise of the clock. */
const MIN_GAIN = 1.05;

/**
 * Runs all variants of a trial: one screening run of each, then a final among the fastest and the first. In
 * the final each variant's best of several rounds counts: other work on the GPU can only make a run longer.
 *
 * @param time see {@link Trial}
 * @returns the first unless another is clearly faster
 * @throws Error where the clock is too coarse, and the errors of `time`
 */
export async function runTrial({ variants, clockMs }: Pick<Trial, 'variants' | 'clockMs'>, time: Trial['time']): Promise<TrialResult> {
  const [initial] = variants;
  if (initial === undefined) throw new Error('there is no variant to try');
  if (RUN_STEPS * clockMs > MAX_RUN_MS) throw new Error(`this browser's clock is too coarse: it goes by ${clockMs} ms`);
  const idleMs = Math.min(await time(initial, 0), await time(initial, 0), await time(initial, 0));
  const runMs = Math.min(MAX_RUN_MS, Math.max(RUN_MS, RUN_STEPS * clockMs, RUN_IDLES * idleMs));
  const msOf = async (variant: string, dispatches: number): Promise<number> => {
    const ms = await time(variant, dispatches);
    return Math.max(ms - idleMs, ms / 2) / dispatches; // a lucky run may be shorter than the empty submit was
  };
  const dispatches = await dispatchesFor(runMs, (count) => msOf(initial, count));
  const screening = new Map<string, number>();
  for (const variant of variants) {
    await time(variant, 1); // the first run sets things up
    screening.set(variant, await msOf(variant, Math.ceil(dispatches / SCREENING_SHARE)));
  }
  const finalists = fastest(screening).filter((variant) => variant !== initial).slice(0, MAX_FINALISTS - 1);
  const best = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const variant of [initial, ...finalists]) {
      best.set(variant, Math.min(best.get(variant) ?? Infinity, await msOf(variant, dispatches)));
    }
  }
  const firstMs = best.get(initial) ?? Infinity;
  const [variant = initial] = fastest(best);
  const ms = best.get(variant) ?? firstMs;
  return ms * MIN_GAIN <= firstMs ? { variant, ms, firstMs } : { variant: initial, ms: firstMs, firstMs };
}

/** The number of dispatches that take about `wantedMs`. */
async function dispatchesFor(wantedMs: number, msOf: (count: number) => Promise<number>): Promise<number> {
  await msOf(1);
  for (let count = 1; ; ) {
    const ms = count * (await msOf(count));
    if (ms >= wantedMs / 2 || count === MAX_DISPATCHES) return count;
    const growth = Math.min(MAX_GROWTH, Math.max(2, wantedMs / ms));
    count = Math.min(MAX_DISPATCHES, Math.ceil(count * growth));
  }
}

/** The fastest variant and those not far behind, in order. */
function fastest(times: ReadonlyMap<string, number>): string[] {
  const limit = MAX_LAG * Math.min(...times.values());
  return [...times].filter(([, ms]) => ms <= limit).sort(([, a], [, b]) => a - b).map(([variant]) => variant);
}
