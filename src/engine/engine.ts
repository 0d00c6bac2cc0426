import { TabserveError, toTabserveError } from '../core/errors.ts';
import type { EngineStats } from '../core/metrics.ts';
import type { EngineRequest, RequestOutput } from '../core/request.ts';
import type { ModelRunner } from '../core/scheduler-output.ts';
import type { SchedulerSnapshot } from '../core/snapshot.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';
import { AutoResetEvent } from './auto-reset-event.ts';
import { GpuLock, type Release } from './gpu-lock.ts';
import { PlanQueue } from './plan-queue.ts';
import { StepBudget } from './step-budget.ts';
import { ThroughputMeter } from './throughput-meter.ts';

/** Speeds in the statistics cover this many milliseconds. */
const SPEED_WINDOW_MS = 5000;
/** Milliseconds for all plans in flight: the page's frames need the GPU too, and watchdogs end submits of seconds. */
const MAX_PLAN_MS = 100;

export interface EngineOptions {
  readonly scheduler: Scheduler;
  readonly runner: ModelRunner;
  /** A monotonic clock in milliseconds: `() => performance.now()`. */
  readonly clock: () => number;
  /** Shared with the other engines of the worker. The engine holds a share while it has requests. @default its own */
  readonly gpuLock?: GpuLock | undefined;
  /** The most milliseconds that the plans in flight should take together; the smallest plan may take longer. @default 100 */
  readonly maxPlanMs?: number | undefined;
  /** Called whenever there is nothing left to do, also before there was anything. */
  readonly onIdle?: (() => void) | undefined;
}

/**
 * The loop: schedule, execute, update. While the batch is stable, further plans are scheduled and executed before the first
 * one's ids are known, so that the GPU does not wait for the host in between.
 *
 * Requests come in through `add`. Their outputs come out of `run`, and each request ends with exactly one output that has a
 * finish reason. If the engine fails, `run` throws, which ends all requests that are left.
 */
export class Engine {
  readonly #scheduler: Scheduler;
  readonly #plans: PlanQueue;
  readonly #clock: () => number;
  readonly #budget: StepBudget;
  readonly #onIdle: () => void;
  readonly #gpuLock: GpuLock;
  readonly #meter = new ThroughputMeter(SPEED_WINDOW_MS);
  /** Set when there may be something to do. */
  readonly #workEvent = new AutoResetEvent();
  /** Final outputs of aborted requests, for `run` to yield. */
  readonly #aborted: RequestOutput[] = [];
  /** When the last step ended, unless the engine has been idle since. */
  #lastStepEnd: number | undefined;
  /** Its share of the GPU, while it has one. */
  #share: Release | undefined;
  #failure: TabserveError | undefined;
  #isRunning = false;

  constructor(options: EngineOptions) {
    const { scheduler, runner, clock, gpuLock = new GpuLock(), maxPlanMs = MAX_PLAN_MS, onIdle = () => {} } = options;
    this.#scheduler = scheduler;
    this.#plans = new PlanQueue(runner, clock);
    this.#clock = clock;
    this.#gpuLock = gpuLock;
    this.#budget = new StepBudget(scheduler.config, maxPlanMs);
    this.#onIdle = onIdle;
  }

  /**
   * Queues a request, and ends the one that it supersedes.
   * @throws TabserveError the scheduler's refusal, or the error that the engine has failed with.
   */
  add(request: EngineRequest): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#endAborted(this.#scheduler.add(request));
  }

  /** Ends a request: `run` yields its final output next. One that has ended already is left alone. */
  abort(requestId: string): void {
    this.#endAborted(this.#scheduler.abort(requestId, this.#clock()));
  }

  /** Ends all requests of a session, as `abort` does. */
  abortSession(sessionId: string): void {
    this.#endAborted(this.#scheduler.abortSession(sessionId, this.#clock()));
  }

  stats(): EngineStats {
    const { prefillTokensPerSecond, decodeTokensPerSecond } = this.#meter;
    return { ...this.#scheduler.stats(), prefillTokensPerSecond, decodeTokensPerSecond };
  }

  /** The requests and the KV blocks that each holds, by the tokens that are known. */
  snapshot(): SchedulerSnapshot {
    return this.#scheduler.snapshot();
  }

  /**
   * Works until `signal` aborts, then ends after the plan under way; a later `run` would go on from there. Yields the
   * outputs of each plan, never an empty list. Without requests it waits for one, and does not poll.
   * @throws TabserveError the runner's error (`device_lost`, ...), or `internal`. The engine has failed then: from now on
   *   `add` and `run` throw the same error.
   */
  async *run(signal: AbortSignal): AsyncGenerator<readonly RequestOutput[], void, undefined> {
    if (this.#isRunning) throw new TabserveError('internal', 'The engine is running already.');
    const wake = (): void => this.#workEvent.set();
    signal.addEventListener('abort', wake);
    this.#isRunning = true;
    try {
      while (!signal.aborted) {
        const stepped = await this.#stepOrFail();
        const outputs = [...(stepped ?? []), ...this.#aborted.splice(0)];
        if (outputs.length > 0) yield outputs;
        else if (stepped === undefined) await this.#workEvent.wait();
      }
    } finally {
      this.#isRunning = false;
      this.#leaveGpu();
      signal.removeEventListener('abort', wake);
    }
  }

  /** The outputs of the next plan that is done; `undefined` when there was nothing to do. */
  async #step(): Promise<readonly RequestOutput[] | undefined> {
    // Awaited only then: without it, no request can come between the question and the plan.
    if (this.#lacksGpu) this.#share = await this.#gpuLock.hold();
    this.#schedule();
    const finished = await this.#plans.next();
    if (finished === undefined) return this.#goIdle();
    const { plan, output, startTime, endTime, isFollowed } = finished;
    this.#budget.record(plan, endTime - startTime, isFollowed);
    const outputs = this.#scheduler.update(plan, output, endTime);
    // From the end of the last step on: handling its outputs delays the next tokens too.
    this.#meter.record(plan, outputs, this.#lastStepEnd ?? startTime, endTime);
    this.#lastStepEnd = endTime;
    return outputs;
  }

  /** Gives the runner every plan that can be scheduled now. */
  #schedule(): void {
    const now = this.#clock();
    this.#aborted.push(...this.#scheduler.expire(now));
    if (this.#plans.length === 0) {
      const plan = this.#scheduler.schedule(now, this.#budget.limits());
      if (plan === undefined) return;
      this.#plans.execute(plan, now);
    }
    while (this.#budget.allowsAnother(this.#plans.length)) {
      const plan = this.#scheduler.scheduleAhead(this.#budget.limits());
      if (plan === undefined) return;
      this.#plans.execute(plan, now);
    }
  }

  async #stepOrFail(): Promise<readonly RequestOutput[] | undefined> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      return await this.#step();
    } catch (error) {
      this.#failure = toTabserveError(error);
      throw this.#failure;
    }
  }

  /** Checks for leaks: nothing runs, so no block may be held. */
  #goIdle(): undefined {
    this.#lastStepEnd = undefined;
    this.#scheduler.checkIntegrity();
    this.#onIdle();
    this.#leaveGpu();
  }

  /** Whether there is something to do, and no share of the GPU for it. */
  get #lacksGpu(): boolean {
    const { requestsRunning, requestsWaiting } = this.#scheduler.stats();
    return this.#share === undefined && requestsRunning + requestsWaiting > 0;
  }

  #leaveGpu(): void {
    this.#share?.();
    this.#share = undefined;
  }

  #endAborted(outputs: readonly RequestOutput[]): void {
    this.#aborted.push(...outputs);
    this.#workEvent.set();
  }
}
