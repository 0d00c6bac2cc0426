import type { Contest, Tunable } from '../../../src/core/tuning.ts';

/** Milliseconds of a dispatch, by way; the first is the default. */
export type Speeds = Readonly<Record<string, number>>;

/** What asking the GPU takes by itself. */
export const IDLE_MS = 0.4;

/** A GPU of numbers: a run takes what its dispatches take. */
export class FakeContest implements Contest {
  readonly ways: readonly string[];
  clockMs = 0.001;
  readonly runs: { readonly way: string; readonly dispatches: number; readonly ms: number }[] = [];
  readonly used: string[] = [];
  /** Called while a run is under way; may return milliseconds that it takes longer. */
  onRun: () => number | void | Promise<number | void> = () => {};
  readonly #speeds: Speeds;

  constructor(speeds: Speeds) {
    this.#speeds = speeds;
    this.ways = Object.keys(speeds);
  }

  async time(way: string, dispatches: number): Promise<number> {
    const extra = (await this.onRun()) ?? 0;
    await new Promise((resolve) => setImmediate(resolve));
    const exact = IDLE_MS + dispatches * (this.#speeds[way] ?? NaN) + extra;
    const ms = Math.floor(exact / this.clockMs) * this.clockMs;
    this.runs.push({ way, dispatches, ms });
    return ms;
  }

  use(way: string): void {
    this.used.push(way);
  }
}

export interface FakeTunable extends Tunable {
  readonly contest: FakeContest;
  isPrepared: boolean;
}

export function fakeTunable(key: string, tokens: number, speeds: Speeds, way = Object.keys(speeds)[0] ?? ''): FakeTunable {
  const contest = new FakeContest(speeds);
  const tunable: FakeTunable = {
    key, name: `kernel ${key}`, tokens, way, contest, isPrepared: false,
    prepare: async () => {
      tunable.isPrepared = true;
      return contest;
    },
  };
  return tunable;
}
