import { TabserveError } from '../core/errors.ts';
import type { SerializedError } from '../core/errors.ts';
import type { SchedulerStats } from '../core/metrics.ts';
import type { EngineRequest, RequestOutput } from '../core/request.ts';
import type { ModelRunnerOutput, PlanLimits, SchedulerConfig, SchedulerOutput } from '../core/scheduler-output.ts';
import type { SchedulerSnapshot } from '../core/snapshot.ts';
import { checkWaitingLimits } from '../core/waiting-limits.ts';
import type { HashBlock } from './block-hash.ts';
import { checkConfig, checkRequest, effectiveMaxModelLen } from './check-request.ts';
import { findVictim } from './fair-preemption.ts';
import { FinishRate } from './finish-rate.ts';
import { findNext } from './next-admission.ts';
import { chooseNumSteps } from './num-steps.ts';
import { planAhead } from './plan-ahead.ts';
import { PlansInFlight } from './plans-in-flight.ts';
import type { PrefixExchange } from './prefix-exchange.ts';
import { RequestQueue } from './request-queue.ts';
import { abortedOutput, acceptTokens, createRequestState, numUncomputedTokens } from './request-state.ts';
import type { RunningRequest } from './request-state.ts';
import { RunningBatch } from './running-batch.ts';
import { takeSnapshot } from './snapshot.ts';
import { type Share, StepShares, toSchedulerOutput } from './step-shares.ts';

/**
 * Decides which tokens of which requests the next step computes. After vLLM's V1 scheduler: there is no prefill phase
 * and no decode phase. Every step gives tokens to requests, running ones first and then waiting ones, until each has
 * caught up (`numComputedTokens` = `numTokens`) or the step's token budget is spent. So a prompt longer than the budget
 * is computed in chunks, mixed with other requests' decoding. Decoding requests come first, with one token each, so that
 * no prompt delays them. When blocks or the room for partial results run out, the newest running request of the lowest
 * priority is preempted: it releases its blocks and returns to the queue. Tokens lost by the prefix cache are recomputed.
 *
 * Every request makes progress: the first one by priority and age can take all others' blocks, and the whole pool holds a
 * sequence of the greatest length. {@link RequestQueue} and {@link findNext} choose the next, {@link findVictim} a victim.
 *
 * The cycle is `schedule`, execute the plan, `update` with its results. While the batch is stable, `scheduleAhead`
 * makes plans to execute behind those in flight, whose ids are not known yet. Updates come in the same order.
 * Admission, preemption and prompts wait until no plan is in flight. Any time is right for `add`, `abort` and `expire`.
 *
 * Plans in flight may overshoot a request that ends unexpectedly. Its results are dropped: their request no longer
 * runs, its KV lies behind the last confirmed token, and only blocks full of confirmed tokens are findable. Its blocks
 * and slot are not reused before those plans complete.
 */
export class Scheduler {
  readonly #config: SchedulerConfig;
  readonly #waiting = new RequestQueue();
  readonly #batch: RunningBatch;
  readonly #finishRate = new FinishRate();
  readonly #inFlight = new PlansInFlight();
  readonly #counts = { preemptions: 0, promptTokens: 0, generationTokens: 0, prefixCacheQueries: 0, prefixCacheHits: 0 };
  #numAdded = 0;

  /**
   * @param hash the hash of blocks; tests pass one that collides.
   * @throws TabserveError `internal` where a limit is not a positive integer.
   */
  constructor(config: SchedulerConfig, hash?: HashBlock) {
    checkConfig(config);
    this.#config = config;
    this.#batch = new RunningBatch(config, hash);
  }

  /** The limits it observes. */
  get config(): SchedulerConfig {
    return this.#config;
  }

  /** Lists the prefixes worth storing, and restores stored ones. */
  get prefixes(): PrefixExchange {
    return this.#batch.prefixes;
  }

  /**
   * Queues a request. Returns the final output of the request that it supersedes, if any.
   * @throws TabserveError `invalid_request` for an empty prompt, a maxTokens below 1 or an id in use;
   *   `context_length_exceeded` for a prompt that leaves no room for a token in the context or in the KV cache;
   *   `queue_full` where too many wait. Then nothing has been superseded.
   */
  add(request: EngineRequest): RequestOutput[] {
    checkRequest(request, this.#config);
    const { requestId, sessionId, completionId = requestId, supersede, arrivalTime, outputTokenIds } = request;
    const states = [...this.#batch.holders.map(({ state }) => state), ...this.#waiting];
    if (states.some((state) => state.request.requestId === requestId)) {
      const message = `There is a request ${requestId} already.`;
      throw new TabserveError('invalid_request', message, { param: 'requestId' });
    }
    const isStale = (other: EngineRequest): boolean =>
      supersede !== undefined &&
      other.supersede === supersede &&
      other.sessionId === sessionId &&
      (other.completionId ?? other.requestId) !== completionId;
    const kept = [...this.#waiting].filter((state) => !isStale(state.request));
    const numOfSession = kept.filter((state) => state.request.sessionId === sessionId).length;
    if (outputTokenIds === undefined) {
      checkWaitingLimits(this.#config, kept.length, numOfSession, (n) => this.#finishRate.estimate(n));
    }
    const message = `A newer request of this tab with the key "${supersede}" took its place.`;
    const superseded = this.#abort(isStale, arrivalTime, { code: 'aborted', message });
    const state = createRequestState(request, effectiveMaxModelLen(this.#config), this.#numAdded++);
    this.#waiting.push(state, this.#batch.requests);
    return superseded;
  }

  /**
   * Ends a request immediately, also while a plan with it executes. Returns its final output, or nothing where it has
   * ended already. No later output names it.
   */
  abort(requestId: string, now: number): RequestOutput[] {
    return this.#abort((request) => request.requestId === requestId, now);
  }

  /** Ends all requests of a session that has ended, as `abort` does. */
  abortSession(sessionId: string, now: number): RequestOutput[] {
    this.#batch.forgetSession(sessionId);
    return this.#abort((request) => request.sessionId === sessionId, now);
  }

  /** Ends the requests whose deadline has passed, waiting or running. */
  expire(now: number): RequestOutput[] {
    const isLate = ({ deadline }: EngineRequest): boolean => deadline !== undefined && deadline <= now;
    const message = 'The time given to the request is over; ask for fewer tokens or allow more time.';
    return this.#abort(isLate, now, { code: 'deadline_exceeded', message });
  }

  /**
   * The next plan, or `undefined` when there is nothing to do.
   * @param now the engine clock's milliseconds.
   * @param limits for plans shorter than the configuration allows.
   * @throws TabserveError `internal` while the last plan has not been updated.
   */
  schedule(now: number, limits?: PlanLimits): SchedulerOutput | undefined {
    if (this.#inFlight.length > 0) throw new TabserveError('internal', 'schedule() before update().');
    const { maxNumBatchedTokens, maxStepsPerPlan } = this.#config;
    const shares = new StepShares(Math.min(limits?.tokenBudget ?? Infinity, maxNumBatchedTokens), this.#config);
    const preemptionsBefore = this.#counts.preemptions;
    const { requests } = this.#batch;
    const isDecoding = (running: RunningRequest): boolean => numUncomputedTokens(running) === 1;
    // Making room can remove requests from the list's end, including this one. for...of stops there.
    for (const running of requests) {
      if (isDecoding(running) && shares.budget > 0 && this.#makeRoom(running)) shares.give(running, true);
    }
    // Prompts got their blocks when they were admitted, so no request is preempted from here on.
    const prefilling = requests.filter((running) => !isDecoding(running));
    for (const running of prefilling) {
      shares.give(running, running !== prefilling.at(-1) || this.#waiting.length > 0);
    }
    // A request that was just preempted cannot be admitted again yet: part of its blocks is in use by another.
    if (this.#counts.preemptions === preemptionsBefore) this.#admit(shares, now);
    shares.spendTheRest();
    if (shares.all.length === 0) {
      if (this.#waiting.length > 0) throw new TabserveError('internal', 'Requests wait, but none can be scheduled.');
      return undefined;
    }
    const plan = this.#plan(shares.all, Math.min(limits?.maxSteps ?? Infinity, maxStepsPerPlan));
    this.#inFlight.push(plan);
    return plan;
  }

  /**
   * A plan to execute behind those in flight, or `undefined` where they have to be updated first: see
   * {@link planAhead}.
   */
  scheduleAhead(limits?: PlanLimits): SchedulerOutput | undefined {
    const context = { config: this.#config, batch: this.#batch, waiting: this.#waiting, inFlight: this.#inFlight };
    const plan = planAhead(context, limits);
    if (plan !== undefined) this.#inFlight.push(plan);
    return plan;
  }

  /**
   * Takes in the results of a plan. Returns an output for each request that got a token or ended, except those aborted
   * while it executed. A request for which the runner could not sample ends with the runner's error.
   * @param now the engine clock's milliseconds.
   * @throws TabserveError `internal` where the plan is not the first in flight, or the output does not match it.
   */
  update(plan: SchedulerOutput, output: ModelRunnerOutput, now: number): RequestOutput[] {
    this.#inFlight.complete(plan);
    this.#batch.releaseLeaving((requestId) => this.#inFlight.has(requestId));
    const running = new Map(this.#batch.requests.map((each) => [each.state.request.requestId, each]));
    const outputs: RequestOutput[] = [];
    for (const scheduled of plan.requests) {
      const request = running.get(scheduled.requestId);
      if (request === undefined) continue;
      request.numComputedTokens += scheduled.tokenIds.length + plan.numSteps - 1;
      if (!scheduled.samples) {
        this.#batch.cacheFullBlocks(request);
        continue;
      }
      const failure = output.failures?.get(scheduled.requestId);
      if (failure !== undefined) {
        this.#batch.removeFailed(request, this.#inFlight.has(scheduled.requestId));
        outputs.push(abortedOutput(request.state, now, failure));
        continue;
      }
      const sampled = output.sampledTokenIds.get(scheduled.requestId);
      if (sampled?.length !== plan.numSteps) {
        const message = `Request ${scheduled.requestId} got ${sampled?.length ?? 0} ids in ${plan.numSteps} steps.`;
        throw new TabserveError('internal', message);
      }
      outputs.push(this.#accept(request, sampled));
    }
    this.#finishRate.record(outputs.filter(({ finishReason }) => finishReason !== undefined).length, now);
    return outputs;
  }

  stats(): SchedulerStats {
    const { pool, requests } = this.#batch;
    return {
      requestsRunning: requests.length,
      requestsWaiting: this.#waiting.length,
      kvBlocksUsed: pool.numBlocks - pool.numFree,
      kvBlocksTotal: pool.numBlocks,
      kvBlockSize: this.#config.blockSize,
      ...this.#counts,
    };
  }

  snapshot(): SchedulerSnapshot {
    return takeSnapshot(this.#config, this.#batch, this.#waiting);
  }

  /** @throws TabserveError `internal` where blocks or slots are leaked or used twice, or the prefix cache is wrong. */
  checkIntegrity(): void {
    this.#batch.checkIntegrity();
  }

  /** Admits waiting requests while there is budget left for them. */
  #admit(shares: StepShares, now: number): void {
    while (shares.budget > 0) {
      const next = findNext(this.#waiting, this.#batch);
      if (next === undefined) return;
      const victim = findVictim(next, this.#batch);
      if (victim !== undefined) {
        shares.takeBack(victim);
        this.#preempt(victim);
      }
      if (!shares.canTake(next)) return;
      const isFirstTime = next.firstScheduledTime === undefined;
      const running = this.#batch.admit(next, now);
      if (running === undefined) return;
      this.#waiting.admitted(next, numUncomputedTokens(running), isFirstTime);
      if (isFirstTime) {
        this.#counts.prefixCacheQueries += next.tokenIds.length;
        this.#counts.prefixCacheHits += running.numComputedTokens;
      }
      shares.give(running, this.#waiting.length > 0);
    }
  }

  /**
   * Allocates a block for one more token. Preempts from the list's end while there is none; false if it preempted
   * itself.
   */
  #makeRoom(running: RunningRequest): boolean {
    while (!this.#batch.grow(running, 1)) {
      const last = this.#batch.requests.at(-1);
      if (last === undefined) throw new TabserveError('internal', 'No memory for a step, and no request to preempt.');
      this.#preempt(last);
      if (last === running) return false;
    }
    return true;
  }

  #preempt(running: RunningRequest): void {
    this.#batch.remove(running, false);
    this.#waiting.pushPreempted(running.state);
    this.#counts.preemptions++;
  }

  #plan(shares: readonly Share[], maxSteps: number): SchedulerOutput {
    const batch = shares.map(({ running }) => running);
    const decodesOnly = batch.every((running) => numUncomputedTokens(running) === 1);
    let numSteps = 1;
    if (decodesOnly && this.#waiting.length === 0) {
      numSteps = chooseNumSteps(batch, maxSteps, this.#batch.pool.numFree, this.#config);
      for (const running of batch) this.#batch.grow(running, numSteps);
    }
    return toSchedulerOutput(shares, numSteps);
  }

  #accept(running: RunningRequest, sampledTokenIds: readonly number[]): RequestOutput {
    const { state, firstScheduledTime } = running;
    const { requestId, promptTokenIds } = state.request;
    if (state.tokenIds.length === promptTokenIds.length) this.#counts.promptTokens += promptTokenIds.length;
    const { newTokenIds, finishReason } = acceptTokens(state, sampledTokenIds);
    this.#counts.generationTokens += newTokenIds.length;
    running.hasSampled = true;
    this.#waiting.share.generated(state.request.sessionId, newTokenIds.length);
    this.#batch.cacheFullBlocks(running);
    if (finishReason !== undefined) this.#batch.remove(running, this.#inFlight.has(requestId));
    return { requestId, newTokenIds, finishReason, firstScheduledTime, numCachedTokens: state.numCachedTokens };
  }

  #abort(matches: (request: EngineRequest) => boolean, now: number, error?: SerializedError): RequestOutput[] {
    const aborted = this.#batch.requests.filter(({ state }) => matches(state.request));
    for (const running of aborted) this.#batch.remove(running, this.#inFlight.has(running.state.request.requestId));
    const states = [...aborted.map(({ state }) => state), ...this.#waiting.remove(matches)];
    this.#finishRate.record(states.length, now);
    return states.map((state) => abortedOutput(state, now, error));
  }
}
