import type { ModelRunner, ModelRunnerOutput, SchedulerOutput } from '../core/scheduler-output.ts';

/** A plan whose results are there. */
export interface FinishedPlan {
  readonly plan: SchedulerOutput;
  readonly output: ModelRunnerOutput;
  /** When it had the GPU to itself at the earliest: since it was scheduled, or the one before it was done. */
  readonly startTime: number;
  /** When its results came. */
  readonly endTime: number;
  /** Whether another one was behind it by then. */
  readonly isFollowed: boolean;
}

interface Execution {
  readonly plan: SchedulerOutput;
  readonly scheduledTime: number;
  /** The results, and when they came: not when somebody had the time to look. */
  readonly results: Promise<{ readonly output: ModelRunnerOutput; readonly endTime: number }>;
}

/** Plans that a runner executes, oldest first. Times are in the engine clock's milliseconds. */
export class PlanQueue {
  readonly #runner: ModelRunner;
  readonly #clock: () => number;
  readonly #executions: Execution[] = [];
  #lastEndTime = -Infinity;

  constructor(runner: ModelRunner, clock: () => number) {
    this.#runner = runner;
    this.#clock = clock;
  }

  get length(): number {
    return this.#executions.length;
  }

  execute(plan: SchedulerOutput, scheduledTime: number): void {
    const results = this.#runner.execute(plan).then((output) => ({ output, endTime: this.#clock() }));
    results.catch(() => {}); // next() tells
    this.#executions.push({ plan, scheduledTime, results });
  }

  /** Waits for the oldest one; `undefined` where there is none. @throws what the runner throws. */
  async next(): Promise<FinishedPlan | undefined> {
    const oldest = this.#executions[0];
    if (oldest === undefined) return undefined;
    const { plan, scheduledTime, results } = oldest;
    const { output, endTime } = await results;
    this.#executions.shift();
    const startTime = Math.max(scheduledTime, this.#lastEndTime);
    this.#lastEndTime = endTime;
    return { plan, output, startTime, endTime, isFollowed: this.#executions.length > 0 };
  }
}
