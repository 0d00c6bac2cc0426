import { Budget, NO_TIME } from '../../../demo/bench/models/budget.ts';
import type { Report } from '../dawn/report.ts';

/** Seconds that a part may take beyond its budget to end what it has begun. */
export const GRACE_SECONDS = 10;

export interface TimedPart {
  readonly name: string;
  readonly seconds: number;
  readonly run: (budget: Budget) => Promise<void>;
}

export interface RunPartsOptions {
  readonly report: Pick<Report, 'omit' | 'failure'>;
  /** Milliseconds on the clock of `now` by which all parts have to end. */
  readonly endsAt: number;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Runs parts one after the other, each within its seconds and those that are left in all. One that fails, or does not end,
 * is reported, and the next one begins.
 *
 * @returns whether all ended: one that did not may still use the GPU
 */
export async function runParts(parts: readonly TimedPart[], { report, endsAt, now, sleep }: RunPartsOptions): Promise<boolean> {
  let allEnded = true;
  for (const { name, seconds, run } of parts) {
    const left = (endsAt - now()) / 1000;
    if (left <= 0) {
      report.omit(name, 'all of it', NO_TIME);
      continue;
    }
    const granted = Math.min(seconds, left);
    const stop = new AbortController();
    const timeout = sleep(1000 * Math.min(granted + GRACE_SECONDS, left), stop.signal);
    const ended = await endOf(run(new Budget(granted, now)), timeout);
    stop.abort();
    if (ended === true) continue;
    const why = ended === undefined ? `it did not end within ${granted.toFixed(0)} s` : textOf(ended.error);
    allEnded = allEnded && ended !== undefined;
    report.omit(name, 'the rest', why);
    report.failure(`${name} failed`);
  }
  return allEnded;
}

/** True: it has ended; undefined: not in time. */
function endOf(running: Promise<void>, timeout: Promise<void>): Promise<true | { readonly error: unknown } | undefined> {
  const ended = running.then((): true => true, (error: unknown) => ({ error }));
  return Promise.race([ended, timeout.then(() => undefined, () => undefined)]);
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
