import assert from 'node:assert/strict';
import { expect } from 'vitest';
import type { EngineRequest, FinishReason, RequestOutput } from '../../../src/core/request.ts';
import type { HashBlock } from '../../../src/scheduler/block-hash.ts';
import {
  LAST_SAMPLED, type ModelRunnerOutput, type PlanLimits, type ScheduledRequest, type SchedulerConfig, type SchedulerOutput,
} from '../../../src/core/scheduler-output.ts';
import { Scheduler } from '../../../src/scheduler/scheduler.ts';
import { FakeRunner, runAlone } from './fake-runner.ts';

/** What a caller has seen of one request. */
export interface Journal {
  readonly request: EngineRequest;
  /** With what it had when it came, where it is resumed. */
  readonly outputTokenIds: number[];
  finishReason: FinishReason | undefined;
  /** With which code, where it was not its caller who ended it. */
  error: string | undefined;
  numCachedTokens: number;
  /** In which step it was first scheduled; `undefined` while it has only waited. */
  firstStep: number | undefined;
}

/** A scheduler with the fake runner under it and every promise it makes checked at each step. */
export class Simulation {
  readonly scheduler: Scheduler;
  readonly runner: FakeRunner;
  readonly journals = new Map<string, Journal>();
  readonly config: SchedulerConfig;
  /** The longest sequence that context and block pool allow. */
  readonly maxModelLen: number;
  now = 0;
  /** Requests for which the runner finds no token. */
  readonly failing = new Set<string>();
  /** How often a plan has computed for a request that had ended by the time it was done. */
  numOverruns = 0;
  /** Executed, as the GPU's queue would have it, but not updated. */
  readonly #inFlight: { readonly plan: SchedulerOutput; readonly output: ModelRunnerOutput }[] = [];
  /** How many of each request's tokens the plans so far have computed. */
  readonly #computed = new Map<string, number>();
  /** Which requests the last plan sampled for. */
  #decoding: readonly string[] = [];
  readonly #answers = new Map<EngineRequest, ReturnType<typeof runAlone>>();
  /** What each block holds, by the plans so far: the salt, and the tokens up to and including its own. */
  readonly #contents: { readonly salt: string; tokens: readonly number[] }[] = [];

  constructor(config: SchedulerConfig, hash?: HashBlock) {
    this.config = config;
    this.maxModelLen = Math.min(config.maxModelLen, config.numBlocks * config.blockSize);
    this.scheduler = new Scheduler(config, hash);
    this.runner = new FakeRunner(config);
  }

  /** The requests that have not ended. */
  get live(): readonly Journal[] {
    return [...this.journals.values()].filter(({ finishReason }) => finishReason === undefined);
  }

  add(request: EngineRequest): RequestOutput[] {
    const { supersede: key, sessionId } = request;
    const isStale = (other: EngineRequest): boolean => other.sessionId === sessionId && other.supersede === key;
    const stale = key === undefined ? [] : this.live.filter((journal) => isStale(journal.request));
    const outputs = this.#record(this.scheduler.add(request));
    assert.deepEqual(outputs.map((o) => o.requestId).toSorted(), stale.map((s) => s.request.requestId).toSorted());
    assert(stale.every(({ error }) => error === 'aborted'));
    this.journals.set(request.requestId, {
      request, outputTokenIds: [...(request.outputTokenIds ?? [])], finishReason: undefined, error: undefined,
      numCachedTokens: 0, firstStep: undefined,
    });
    return outputs;
  }

  abort(requestId: string): RequestOutput[] {
    return this.#record(this.scheduler.abort(requestId, this.now));
  }

  abortSession(sessionId: string): RequestOutput[] {
    return this.#record(this.scheduler.abortSession(sessionId, this.now));
  }

  /**
   * One step of one millisecond: the oldest plan in flight is done, behind which there are as many as there may be;
   * `meanwhile` happens while they execute. `undefined` when there is nothing to do.
   */
  step(
    meanwhile: () => void = () => {},
    limits?: PlanLimits,
  ): { plan: SchedulerOutput; outputs: RequestOutput[] } | undefined {
    this.now++;
    this.#expire();
    if (this.#inFlight.length === 0) this.#start(limits, () => this.scheduler.schedule(this.now, limits));
    const last = this.#startAhead(limits) ?? this.#inFlight.at(-1)?.plan;
    if (last === undefined) return undefined;
    const { kvBlocksUsed, requestsRunning } = this.scheduler.stats();
    meanwhile();
    // The GPU still writes to the blocks of a request aborted meanwhile, where the plans have it.
    if (requestsRunning === last.requests.length) assert.equal(this.scheduler.stats().kvBlocksUsed, kvBlocksUsed);
    this.#checkWrites();
    const done = this.#inFlight.shift();
    assert(done !== undefined);
    const { plan, output } = done;
    this.numOverruns += plan.requests.filter(({ requestId }) => this.#journal(requestId).finishReason === 'stop').length;
    const outputs = this.#record(this.scheduler.update(plan, output, this.now));
    this.#checkWrites();
    return { plan, outputs };
  }

  /** Has the scheduler make a plan, and queues it. */
  #start(limits: PlanLimits | undefined, schedule: () => SchedulerOutput | undefined): SchedulerOutput | undefined {
    const { preemptions } = this.scheduler.stats();
    const plan = schedule();
    if (plan === undefined) return undefined;
    this.#checkPlan(plan, limits);
    this.#checkDecoding(plan, limits, this.scheduler.stats().preemptions - preemptions);
    this.#checkAdmissions(plan);
    this.#inFlight.push({ plan, output: this.#execute(plan) });
    this.#checkWrites();
    return plan;
  }

  #startAhead(limits: PlanLimits | undefined): SchedulerOutput | undefined {
    for (let last: SchedulerOutput | undefined; ; ) {
      const plan = this.#start(limits, () => this.scheduler.scheduleAhead(limits));
      if (plan === undefined) return last;
      assert(this.#inFlight.length <= (this.config.maxPlansInFlight ?? 1), 'too many plans in flight');
      assert.equal(plan.requests.length, this.scheduler.stats().requestsRunning, 'a running request is left out');
      last = plan;
    }
  }

  /** The books are right, and a block that a plan in flight writes to is held by the plan's request and nobody else. */
  #checkWrites(): void {
    this.scheduler.checkIntegrity();
    const { requests } = this.scheduler.snapshot();
    const holders = new Map<number, string[]>();
    for (const { requestId, blockTable } of requests) {
      for (const block of blockTable) holders.set(block, [...(holders.get(block) ?? []), requestId]);
    }
    for (const { plan } of this.#inFlight) {
      for (const scheduled of plan.requests) {
        for (const block of this.#writtenBlocks(scheduled, plan.numSteps)) {
          assert.deepEqual(holders.get(block), [scheduled.requestId], 'a block that is written to is not its writer’s alone');
        }
      }
    }
  }

  /** Steps until nothing is left to do. */
  drain(maxSteps = 100_000): void {
    for (let i = 0; this.step() !== undefined; i++) {
      if (i > maxSteps) throw new Error('The scheduler does not come to an end.');
    }
    this.checkIdle();
  }

  checkIdle(): void {
    this.scheduler.checkIntegrity();
    expect(this.scheduler.stats()).toMatchObject({ requestsRunning: 0, requestsWaiting: 0, kvBlocksUsed: 0 });
  }

  /** Every request has ended; those not aborted gave what they give alone, the others the beginning of it. */
  checkAnswers(): void {
    for (const { request, outputTokenIds, finishReason } of this.journals.values()) {
      const alone = this.#alone(request);
      if (finishReason === 'abort') {
        expect(outputTokenIds).toEqual(alone.outputTokenIds.slice(0, outputTokenIds.length));
      } else {
        expect({ outputTokenIds, finishReason }, request.requestId).toEqual(alone);
      }
    }
  }

  #alone(request: EngineRequest): ReturnType<typeof runAlone> {
    const known = this.#answers.get(request) ?? runAlone(request, this.maxModelLen);
    this.#answers.set(request, known);
    return known;
  }

  #record(outputs: RequestOutput[]): RequestOutput[] {
    for (const { requestId, newTokenIds, finishReason, firstScheduledTime, numCachedTokens, error } of outputs) {
      const journal = this.#journal(requestId);
      assert(journal.finishReason === undefined, `${requestId} has ended, but there is more of it`);
      assert(newTokenIds.length > 0 || finishReason !== undefined, 'an output that says nothing');
      assert(firstScheduledTime >= journal.request.arrivalTime && firstScheduledTime <= this.now);
      journal.outputTokenIds.push(...newTokenIds);
      journal.finishReason = finishReason;
      journal.error = error?.code;
      assert(numCachedTokens < journal.request.promptTokenIds.length, 'more of a prompt is cached than it has');
      assert.equal(numCachedTokens % this.config.blockSize, 0);
      journal.numCachedTokens = numCachedTokens;
    }
    return outputs;
  }

  #execute(plan: SchedulerOutput): ModelRunnerOutput {
    const { sampledTokenIds } = this.runner.executeNow(plan);
    const failed = [...sampledTokenIds.keys()].filter((requestId) => this.failing.has(requestId));
    return {
      sampledTokenIds: new Map([...sampledTokenIds].filter(([requestId]) => !this.failing.has(requestId))),
      failures: new Map(failed.map((requestId) => [requestId, { code: 'internal', message: 'not numbers' }])),
    };
  }

  /** Those whose time is over end, and no others. */
  #expire(): void {
    const late = this.live.filter(({ request }) => (request.deadline ?? Infinity) <= this.now);
    const outputs = this.#record(this.scheduler.expire(this.now));
    assert.equal(outputs.length, late.length);
    assert(late.every(({ error }) => error === 'deadline_exceeded'));
  }

  /** Whoever decodes gets on at each step, whatever prompts there are, unless its place was taken. */
  #checkDecoding(plan: SchedulerOutput, limits: PlanLimits | undefined, numPreempted: number): void {
    const { maxNumSeqs, maxNumBatchedTokens } = this.config;
    const scheduled = new Set(plan.requests.filter(({ samples }) => samples).map(({ requestId }) => requestId));
    const decoding = new Set(this.#decoding);
    this.#decoding = [...scheduled];
    if (Math.min(maxNumBatchedTokens, limits?.tokenBudget ?? Infinity) < maxNumSeqs) return;
    const left = this.live.filter(({ request: { requestId } }) => decoding.has(requestId) && !scheduled.has(requestId));
    assert(left.length <= numPreempted, `${left.length} decoding requests were left out`);
  }

  /** Nobody overtakes a more urgent request that waits. */
  #checkAdmissions(plan: SchedulerOutput): void {
    const admitted = plan.requests.map(({ requestId }) => this.#journal(requestId)).filter((j) => j.firstStep === undefined);
    for (const journal of admitted) journal.firstStep = this.now;
    const waiting = this.live.filter(({ firstStep }) => firstStep === undefined);
    const priorities = (journals: readonly Journal[]): number[] => journals.map(({ request }) => request.priority ?? 0);
    assert(Math.max(...priorities(admitted)) <= Math.min(...priorities(waiting)), 'a more urgent request is left waiting');
  }

  #checkPlan({ numSteps, requests, totalNumScheduledTokens }: SchedulerOutput, limits?: PlanLimits): void {
    const { config } = this;
    const numTokens = requests.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0);
    this.#checkPartials(requests, numSteps);
    assert.equal(totalNumScheduledTokens, numTokens);
    assert(numTokens > 0 && numTokens <= config.maxNumBatchedTokens, 'the token budget is kept');
    assert(requests.length <= config.maxNumSeqs);
    assert(numSteps >= 1 && numSteps <= config.maxStepsPerPlan);
    if (limits !== undefined) assert(numTokens <= limits.tokenBudget && numSteps <= limits.maxSteps);
    if (numSteps > 1) {
      assert(requests.every(({ samples, tokenIds }) => samples && tokenIds.length === 1));
      assert.equal(this.scheduler.stats().requestsWaiting, 0);
    }
    checkDistinct(requests.map(({ slot }) => slot), config.maxNumSeqs, 'slots');
    const written = requests.flatMap((scheduled) => this.#writtenBlocks(scheduled, numSteps));
    checkDistinct(written, config.numBlocks, 'written blocks');
    for (const { blockTable } of requests) checkDistinct(blockTable, config.numBlocks, 'blocks of a table');
    for (const scheduled of requests) this.#checkScheduled(scheduled, numSteps);
    // After all have been checked: what this plan computes is for nobody else to read yet.
    for (const scheduled of requests) this.#noteContents(scheduled, numSteps);
  }

  /** No step has more partial results of attention than there is room for. Counted row by row. */
  #checkPartials(requests: readonly ScheduledRequest[], numSteps: number): void {
    const { splitTokens = Infinity, maxNumPartials = Infinity } = this.config;
    for (let step = 0; step < numSteps; step++) {
      const contexts = requests.flatMap(({ startPosition, tokenIds }) => tokenIds.map((_, i) => startPosition + step + i + 1));
      const partials = contexts.map((tokens) => Math.ceil(tokens / splitTokens)).filter((splits) => splits > 1);
      const sum = partials.reduce((a, b) => a + b, 0);
      assert(sum <= maxNumPartials, `${sum} partial results in a step, of ${maxNumPartials}`);
    }
  }

  #checkScheduled(scheduled: ScheduledRequest, numSteps: number): void {
    const { requestId, tokenIds, startPosition, blockTable, samples } = scheduled;
    const { request, outputTokenIds, finishReason } = this.#journal(requestId);
    assert(finishReason === undefined, `${requestId} has ended but is scheduled`);
    const all = [...request.promptTokenIds, ...outputTokenIds];
    assert(tokenIds.length > 0);
    if (startPosition < all.length) {
      assert.deepEqual(tokenIds, all.slice(startPosition, startPosition + tokenIds.length));
      assert.equal(samples, startPosition + tokenIds.length === all.length);
    } else {
      assert.deepEqual({ tokenIds, samples }, { tokenIds: [LAST_SAMPLED], samples: true });
      assert.equal(startPosition, this.#computed.get(requestId), 'a plan ahead goes on where the last one ends');
    }
    this.#checkSalts(scheduled, request);
    if (startPosition !== this.#computed.get(requestId)) this.#checkFound(scheduled, all);
    const end = startPosition + tokenIds.length + numSteps - 1;
    assert(blockTable.length * this.config.blockSize >= end, 'the block table covers what the plan touches');
    const { maxTokens } = request.sampling;
    assert(end < Math.min(this.maxModelLen, request.promptTokenIds.length + maxTokens), 'the last token is never fed');
    this.#computed.set(requestId, end);
  }

  #checkSalts({ startPosition, blockTable }: ScheduledRequest, { cacheSalt = '' }: EngineRequest): void {
    for (const block of blockTable.slice(0, Math.ceil(startPosition / this.config.blockSize))) {
      assert.equal(this.#contents[block]?.salt, cacheSalt, 'another salt\'s block');
    }
  }

  /** What a request that begins finds computed is whole blocks of its own tokens, from the first one on. */
  #checkFound({ startPosition, blockTable }: ScheduledRequest, all: readonly number[]): void {
    const { blockSize } = this.config;
    assert.equal(startPosition % blockSize, 0, 'no position is left out');
    for (let end = blockSize; end <= startPosition; end += blockSize) {
      const tokens = this.#contents[blockTable[end / blockSize - 1] ?? -1]?.tokens;
      assert.deepEqual(tokens, all.slice(0, end));
    }
  }

  #noteContents({ requestId, startPosition, tokenIds, blockTable }: ScheduledRequest, numSteps: number): void {
    const { blockSize } = this.config;
    const { request, outputTokenIds } = this.#journal(requestId);
    const all = [...request.promptTokenIds, ...outputTokenIds];
    const end = startPosition + tokenIds.length + numSteps - 1;
    // Tokens that the plan itself samples are not known yet; they are noted as what they will be.
    const tokens = end > all.length ? [...request.promptTokenIds, ...this.#alone(request).outputTokenIds] : all;
    for (let block = Math.floor(startPosition / blockSize); block * blockSize < end; block++) {
      const id = blockTable[block] ?? -1;
      this.#contents[id] = { salt: request.cacheSalt ?? '', tokens: tokens.slice(0, Math.min(end, (block + 1) * blockSize)) };
    }
  }

  #writtenBlocks({ startPosition, tokenIds, blockTable }: ScheduledRequest, numSteps: number): readonly number[] {
    const { blockSize } = this.config;
    const end = startPosition + tokenIds.length + numSteps - 1;
    return blockTable.slice(Math.floor(startPosition / blockSize), Math.ceil(end / blockSize));
  }

  #journal(requestId: string): Journal {
    const journal = this.journals.get(requestId);
    assert(journal !== undefined, `there is no request ${requestId}`);
    return journal;
  }
}

function checkDistinct(values: readonly number[], limit: number, what: string): void {
  assert.equal(new Set(values).size, values.length, `${what} used twice: ${values.join()}`);
  assert(values.every((value) => value >= 0 && value < limit), `${what} out of range: ${values.join()}`);
}
