import type { Contest, Winner } from '../core/tuning.ts';

/** What a run that counts should take: long enough for the clock, short enough for a request that comes meanwhile. */
const RUN_MS = 3;
/** And so many steps of the clock, and so often what asking alone takes: less is lost in their noise. */
const RUN_STEPS = 20;
const RUN_IDLES = 3;
/** Beyond that a request would wait for too long. */
const MAX_RUN_MS = 50;
/** The heats are shorter, and only tell who is far behind. */
const HEAT_SHARE = 4;
const MAX_LAG = 1.5;
const MAX_FINALISTS = 4;
const ROUNDS = 3;
const MAX_DISPATCHES = 2048;
/** The work grows by so much at most from one run to the next. */
const MAX_GROWTH = 8;
/** Who is not faster by so much has not won: the clock is not as good as that. */
const MIN_GAIN = 1.05;

/**
 * Races all ways of a contest against each other: one heat for all, a final among the fastest and the default, each the
 * best of several rounds, in turns. Other work on the GPU can only make a run longer.
 *
 * @param time runs so many dispatches of a way, see {@link Contest}
 * @returns the default unless another is clearly faster
 * @throws Error where the clock is too coarse, and what `time` does
 */
export async function race({ ways, clockMs }: Pick<Contest, 'ways' | 'clockMs'>, time: Contest['time']): Promise<Winner> {
  const [initial] = ways;
  if (initial === undefined) throw new Error('there is nothing to race');
  if (RUN_STEPS * clockMs > MAX_RUN_MS) throw new Error(`this browser's clock is too coarse: it goes by ${clockMs} ms`);
  const idleMs = Math.min(await time(initial, 0), await time(initial, 0), await time(initial, 0));
  const runMs = Math.min(MAX_RUN_MS, Math.max(RUN_MS, RUN_STEPS * clockMs, RUN_IDLES * idleMs));
  const msOf = async (way: string, dispatches: number): Promise<number> => {
    const ms = await time(way, dispatches);
    return Math.max(ms - idleMs, ms / 2) / dispatches; // a lucky run may be shorter than asking alone was
  };
  const dispatches = await dispatchesFor(runMs, (count) => msOf(initial, count));
  const heats = new Map<string, number>();
  for (const way of ways) {
    await time(way, 1); // the first run sets things up
    heats.set(way, await msOf(way, Math.ceil(dispatches / HEAT_SHARE)));
  }
  const finalists = fastest(heats).filter((way) => way !== initial).slice(0, MAX_FINALISTS - 1);
  const best = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const way of [initial, ...finalists]) {
      best.set(way, Math.min(best.get(way) ?? Infinity, await msOf(way, dispatches)));
    }
  }
  const defaultMs = best.get(initial) ?? Infinity;
  const [way = initial] = fastest(best);
  const ms = best.get(way) ?? defaultMs;
  return ms * MIN_GAIN <= defaultMs ? { way, ms, defaultMs } : { way: initial, ms: defaultMs, defaultMs };
}

/** How many take about so long. */
async function dispatchesFor(wantedMs: number, msOf: (count: number) => Promise<number>): Promise<number> {
  await msOf(1);
  for (let count = 1; ; ) {
    const ms = count * (await msOf(count));
    if (ms >= wantedMs / 2 || count === MAX_DISPATCHES) return count;
    const growth = Math.min(MAX_GROWTH, Math.max(2, wantedMs / ms));
    count = Math.min(MAX_DISPATCHES, Math.ceil(count * growth));
  }
}

/** The fastest, and who is not far behind, in order. */
function fastest(times: ReadonlyMap<string, number>): string[] {
  const limit = MAX_LAG * Math.min(...times.values());
  return [...times].filter(([, ms]) => ms <= limit).sort(([, a], [, b]) => a - b).map(([way]) => way);
}
