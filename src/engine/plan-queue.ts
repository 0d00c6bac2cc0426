import type { ModelRunner, ModelRunnerOutput, SchedulerOutput } from '../core/scheduler-output.ts';

/** A plan whose results have arrived. */
export interface FinishedPlan {
  readonly plan: SchedulerOutput;
  readonly output: ModelRunnerOutput;
  /** The earliest time that it had the GPU to itself: it was scheduled, and the plan before it was done. */
  readonly startTime: number;
  /** When its results arrived. */
  readonly endTime: number;
  /** Whether another plan was in flight behind it by then. */
  readonly isFollowed: boolean;
}

interface Execution {
  readonly plan: SchedulerOutput;
  readonly scheduledTime: number;
  /** The results, and the time they arrived, which may be before anybody reads them. */
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
    results.catch(() => {}); // thrown by next()
    this.#executions.push({ plan, scheduledTime, results });
  }

  /** Waits for the oldest plan; `undefined` where there is none. @throws the runner's error */
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
