import type { Trial, Tunable } from '../../../src/tuning/tunable.ts';
import { VirtualTime } from './virtual-time.ts';

/** Milliseconds of a dispatch, by variant; the first is the default. */
export type Speeds = Readonly<Record<string, number>>;

/** What asking the GPU takes by itself. */
export const IDLE_MS = 0.4;

/** A GPU of numbers: a run takes what its dispatches take. */
export class FakeTrial implements Trial {
  variants: readonly string[];
  refused: readonly string[] = [];
  clockMs = 0.001;
  readonly runs: { readonly variant: string; readonly dispatches: number; readonly ms: number }[] = [];
  readonly used: string[] = [];
  /** Variants that give other bits than the default. */
  readonly wrong = new Set<string>();
  readonly checked: string[] = [];
  /** Called while a run is under way; may return milliseconds that it takes longer. */
  onRun: () => number | void | Promise<number | void> = () => {};
  readonly #speeds: Speeds;
  readonly #time: VirtualTime;

  constructor(speeds: Speeds, time = new VirtualTime()) {
    this.#speeds = speeds;
    this.#time = time;
    this.variants = Object.keys(speeds);
  }

  async time(variant: string, dispatches: number): Promise<number> {
    const extra = (await this.onRun()) ?? 0;
    const exact = IDLE_MS + dispatches * (this.#speeds[variant] ?? NaN) + extra;
    await this.#time.pass(exact);
    const ms = Math.floor(exact / this.clockMs) * this.clockMs;
    this.runs.push({ variant, dispatches, ms });
    return ms;
  }

  async agrees(variant: string): Promise<boolean> {
    this.checked.push(variant);
    return !this.wrong.has(variant);
  }

  use(variant: string): void {
    this.used.push(variant);
  }
}

export interface FakeTunable extends Tunable {
  variant: string;
  isReady: boolean;
  readonly trial: FakeTrial;
  readonly isPrepared: boolean;
  /** The candidates of each trial so far. */
  readonly prepared: (readonly string[])[];
}

export interface FakeTunableOptions {
  /** In use at first. @default the first */
  readonly variant?: string | undefined;
  /** Bytes that a step moves. @default 1 */
  readonly bytes?: number;
  readonly time?: VirtualTime;
  /** Milliseconds that a variant takes to compile, beside the others; undefined where it does not. @default 0 */
  readonly compileMs?: (variant: string) => number | undefined;
}

export function fakeTunable(key: string, tokens: number, speeds: Speeds, options: FakeTunableOptions = {}): FakeTunable {
  const { variant = Object.keys(speeds)[0] ?? '', bytes = 1, time = new VirtualTime(), compileMs = () => 0 } = options;
  const trial = new FakeTrial(speeds, time);
  const tunable: FakeTunable = {
    key, name: `kernel ${key}`, tokens, variant, trial, prepared: [], isReady: true,
    trialStep: { tokens, bytes },
    candidates: Object.keys(speeds).slice(1),
    get isPrepared() {
      return this.prepared.length > 0;
    },
    prepare: async (candidates, giveUp) => {
      tunable.prepared.push(candidates);
      trial.refused = candidates.filter((name) => compileMs(name) === undefined);
      const compiling = candidates.flatMap((name) => {
        const ms = compileMs(name);
        return ms === undefined || speeds[name] === undefined ? [] : [{ name, end: time.now + ms }];
      }).toSorted((a, b) => a.end - b.end);
      const compiled: string[] = [];
      for (const { name, end } of compiling) {
        await time.pass(end - time.now, giveUp);
        if (giveUp.aborted) break;
        compiled.push(name);
      }
      trial.variants = [tunable.variant, ...compiled];
      return trial;
    },
  };
  trial.use = (name) => {
    trial.used.push(name);
    tunable.variant = name;
  };
  return tunable;
}
