import type { Trial, Tunable } from '../../../src/tuning/tunable.ts';

/** Milliseconds of a dispatch, by variant; the first is the default. */
export type Speeds = Readonly<Record<string, number>>;

/** What asking the GPU takes by itself. */
export const IDLE_MS = 0.4;

/** A GPU of numbers: a run takes what its dispatches take. */
export class FakeTrial implements Trial {
  readonly variants: readonly string[];
  clockMs = 0.001;
  readonly runs: { readonly variant: string; readonly dispatches: number; readonly ms: number }[] = [];
  readonly used: string[] = [];
  /** Called while a run is under way; may return milliseconds that it takes longer. */
  onRun: () => number | void | Promise<number | void> = () => {};
  readonly #speeds: Speeds;

  constructor(speeds: Speeds) {
    this.#speeds = speeds;
    this.variants = Object.keys(speeds);
  }

  async time(variant: string, dispatches: number): Promise<number> {
    const extra = (await this.onRun()) ?? 0;
    await new Promise((resolve) => setImmediate(resolve));
    const exact = IDLE_MS + dispatches * (this.#speeds[variant] ?? NaN) + extra;
    const ms = Math.floor(exact / this.clockMs) * this.clockMs;
    this.runs.push({ variant, dispatches, ms });
    return ms;
  }

  use(variant: string): void {
    this.used.push(variant);
  }
}

export interface FakeTunable extends Tunable {
  readonly trial: FakeTrial;
  isPrepared: boolean;
}

export function fakeTunable(key: string, tokens: number, speeds: Speeds, variant = Object.keys(speeds)[0] ?? ''): FakeTunable {
  const trial = new FakeTrial(speeds);
  const tunable: FakeTunable = {
    key, name: `kernel ${key}`, tokens, variant, trial, isPrepared: false,
    prepare: async () => {
      tunable.isPrepared = true;
      return trial;
    },
  };
  return tunable;
}
