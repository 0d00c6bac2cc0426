import type { ModelRunner, ModelRunnerOutput, SchedulerConfig, SchedulerOutput } from '../../../src/core/scheduler-output.ts';
import { FakeRunner } from '../scheduler/fake-runner.ts';

/** Lets everything happen that can happen without anything new from outside. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

interface Job {
  readonly ms: number;
  readonly doneTime: number;
  /** When the host hears of it. */
  readonly toldTime: number;
  readonly resolve: (output: ModelRunnerOutput) => void;
  readonly reject: (error: Error) => void;
  readonly output: ModelRunnerOutput;
}

/** The fake runner on a GPU that has a queue and takes its time, which passes when a test says so. */
export class VirtualGpu implements ModelRunner {
  now = 0;
  readonly fake: FakeRunner;
  /** How many plans were in flight when each was called for, itself included. */
  readonly depths: number[] = [];
  /** Milliseconds until all plans in flight were done, when each was called for. */
  readonly backlogs: number[] = [];
  readonly #msOf: (plan: SchedulerOutput) => number;
  readonly #tickMs: number;
  readonly #jobs: Job[] = [];

  /** @param tickMs the host hears of results at multiples of it only. */
  constructor(config: SchedulerConfig, msOf: (plan: SchedulerOutput) => number, tickMs = 0) {
    this.fake = new FakeRunner(config);
    this.#msOf = msOf;
    this.#tickMs = tickMs;
  }

  get numInFlight(): number {
    return this.#jobs.length;
  }

  execute(plan: SchedulerOutput): Promise<ModelRunnerOutput> {
    const output = this.fake.executeNow(plan);
    const ms = this.#msOf(plan);
    const doneTime = Math.max(this.now, this.#jobs.at(-1)?.doneTime ?? 0) + ms;
    const toldTime = this.#tickMs === 0 ? doneTime : Math.ceil(doneTime / this.#tickMs) * this.#tickMs;
    return new Promise((resolve, reject) => {
      this.#jobs.push({ ms, doneTime, toldTime, resolve, reject, output });
      this.depths.push(this.#jobs.length);
      this.backlogs.push(doneTime - this.now);
    });
  }

  /** Passes the time until the host hears of the next plan, and of all that are told of then. */
  async advance(): Promise<void> {
    const [next] = this.#jobs;
    if (next === undefined) throw new Error('Nothing is in flight.');
    this.now = next.toldTime;
    while (this.#jobs[0] !== undefined && this.#jobs[0].toldTime <= this.now) {
      const job = this.#jobs.shift();
      job?.resolve(job.output);
    }
    await settle();
  }

  /** Until nothing is in flight. */
  async drain(): Promise<void> {
    await settle();
    while (this.#jobs.length > 0) await this.advance();
  }

  /** All plans in flight fail. */
  async fail(error: Error): Promise<void> {
    for (const job of this.#jobs.splice(0)) job.reject(error);
    await settle();
  }
}
