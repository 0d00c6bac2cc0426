import type { LoadProgress } from '../core/progress.ts';

/** The origin of counted bytes. */
export type ByteStage = 'download' | 'load';

/** The least time between reports, except the last one. */
const REPORT_INTERVAL_MS = 100;
/** Long enough to smooth the pauses between parts, short enough to follow a connection that slows down. */
const RATE_WINDOW_MS = 5000;

/** Counts the distinct bytes of a file as they come, and reports progress and rate. */
export class ProgressMeter {
  /** Bytes of the file; 0 while unknown. */
  total = 0;
  readonly #onProgress: (progress: LoadProgress) => void;
  readonly #now: () => number;
  /** The counted bytes: sorted ranges that neither overlap nor touch. */
  #ranges: { start: number; end: number }[] = [];
  #done = 0;
  #stage: ByteStage | undefined;
  /** (time, bytes done), one each report interval, the oldest first. It restarts where the stage changes. */
  #samples: { time: number; done: number }[] = [];
  #lastReport = -Infinity;

  /** @param now a clock in milliseconds, from any origin */
  constructor(onProgress: (progress: LoadProgress) => void, now: () => number) {
    this.#onProgress = onProgress;
    this.#now = now;
  }

  /** Counts those bytes of the range that have not been counted before. `stage` is their origin. */
  count(stage: ByteStage, offset: number, length: number): void {
    const added = this.#add(offset, offset + length);
    if (added === 0) return;
    const time = this.#now();
    if (stage !== this.#stage) this.#samples = [{ time, done: this.#done }];
    this.#stage = stage;
    this.#done += added;
    const isLast = this.#done === this.total;
    if (time - this.#lastReport < REPORT_INTERVAL_MS && !isLast) return;
    this.#lastReport = time;
    this.#onProgress(this.#report(stage, time));
  }

  #report(stage: ByteStage, time: number): LoadProgress {
    this.#samples.push({ time, done: this.#done });
    while ((this.#samples[1]?.time ?? time) <= time - RATE_WINDOW_MS) this.#samples.shift();
    const oldest = this.#samples[0] ?? { time, done: this.#done };
    const seconds = (time - oldest.time) / 1000;
    const bytesPerSecond = seconds > 0 ? (this.#done - oldest.done) / seconds : 0;
    const left = this.total - this.#done;
    const secondsLeft = left === 0 ? 0 : left > 0 && bytesPerSecond > 0 ? left / bytesPerSecond : Infinity;
    return { stage, bytesDone: this.#done, bytesTotal: this.total, bytesPerSecond, secondsLeft };
  }

  /** Adds a range to the set; returns the number of its bytes that were not in it. */
  #add(start: number, end: number): number {
    const touching = this.#ranges.filter((range) => range.start <= end && range.end >= start);
    const merged = {
      start: Math.min(start, ...touching.map((range) => range.start)),
      end: Math.max(end, ...touching.map((range) => range.end)),
    };
    const before = touching.reduce((sum, range) => sum + range.end - range.start, 0);
    this.#ranges = [...this.#ranges.filter((range) => !touching.includes(range)), merged];
    return merged.end - merged.start - before;
  }
}
