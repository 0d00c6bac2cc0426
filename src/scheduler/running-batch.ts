import { TabserveError } from '../core/errors.ts';
import type { SchedulerConfig } from '../core/scheduler-output.ts';
import type { HashBlock } from './block-hash.ts';
import { BlockPool } from './block-pool.ts';
import { numBlocksFor, numMissingBlocks } from './num-steps.ts';
import { haveRoom } from './partials.ts';
import { type CachedBlock, PrefixCache } from './prefix-cache.ts';
import { PrefixExchange } from './prefix-exchange.ts';
import type { RequestState, RunningRequest } from './request-state.ts';

/** The running requests and their resources: a slot each, and blocks for their tokens. */
export class RunningBatch {
  readonly pool: BlockPool;
  readonly prefixes: PrefixExchange;
  readonly #cache: PrefixCache;
  readonly #config: SchedulerConfig;
  /** The last one is taken first. */
  readonly #freeSlots: number[];
  #requests: RunningRequest[] = [];
  /** Ended requests whose blocks a plan in flight still writes to. */
  #leaving: RunningRequest[] = [];

  constructor(config: SchedulerConfig, hash?: HashBlock) {
    this.#config = config;
    this.pool = new BlockPool(config.numBlocks);
    this.#cache = new PrefixCache(config.blockSize, hash);
    this.prefixes = new PrefixExchange(this.pool, this.#cache, config.blockSize);
    this.#freeSlots = Array.from({ length: config.maxNumSeqs }, (_, i) => config.maxNumSeqs - 1 - i);
  }

  /** By priority, then by age: the last one is preempted first. */
  get requests(): readonly RunningRequest[] {
    return this.#requests;
  }

  /** Every request that holds a slot and blocks: the running ones, and ended ones that are still in flight. */
  get holders(): readonly RunningRequest[] {
    return [...this.#requests, ...this.#leaving];
  }

  /** Whether an ended request holds a slot and blocks until a plan in flight completes. */
  get isAnyLeaving(): boolean {
    return this.#leaving.length > 0;
  }

  get numFreeSlots(): number {
    return this.#freeSlots.length;
  }

  /** Whether the prefix that a block holds, in use or free, can be found. */
  isFindable(block: number): boolean {
    return this.#cache.has(block);
  }

  /** Whether `admit` would admit a request if `without` did not run: for it there are a slot, blocks, and room for partial results. */
  canAdmit(state: RequestState, without?: RunningRequest): boolean {
    if (this.#freeSlots.length === 0 && without === undefined) return false;
    if (!haveRoom([...this.#states(without), state], this.#config)) return false;
    const given = new Set(without?.blockTable.filter((block) => this.pool.refCount(block) === 1));
    const taken = this.#findCached(state).filter(({ block }) => this.pool.refCount(block) > 0 && !given.has(block));
    const numNeeded = numBlocksFor(state.tokenIds.length, this.#config.blockSize) - taken.length;
    const numOthers = this.#requests.length - (without === undefined ? 0 : 1);
    return numNeeded + numOthers <= this.pool.numFree + given.size;
  }

  /**
   * Admits a request as the newest of its priority, or returns `undefined` where `canAdmit` says no. Its cached
   * tokens count as computed, except the last one, whose logits are needed. It gets blocks for all of its tokens, not
   * only for its first chunk. One block must stay free for each request that runs already: otherwise its prefill would
   * often be preempted before its first token.
   */
  admit(state: RequestState, now: number): RunningRequest | undefined {
    if (!this.canAdmit(state)) return undefined;
    const { blockSize } = this.#config;
    const cached = [...this.#findCached(state)];
    const shared = cached.map(({ block }) => block);
    for (const block of shared) this.pool.retain(block);
    const own = this.#allocate(numBlocksFor(state.tokenIds.length, blockSize) - shared.length);
    const slot = this.#freeSlots.pop();
    if (slot === undefined || own === undefined) throw new TabserveError('internal', 'A promised slot is not there.');
    const numComputedTokens = cached.length * blockSize;
    if (state.firstScheduledTime === undefined) {
      const ofPrompt = cached.slice(0, this.#numFindable(state.request.promptTokenIds));
      state.numCachedTokens = this.#cache.countTold(ofPrompt, state.request.sessionId) * blockSize;
      // Another choice of the same request finds the first one's blocks: that is not a further use.
      if (state.request.choice === 0) this.#cache.hit(cached, state.request, now);
    }
    for (const { sessions } of cached) sessions.add(state.request.sessionId);
    state.firstScheduledTime ??= now;
    const { firstScheduledTime } = state;
    const blockTable = [...shared, ...own];
    const running = { state, slot, blockTable, cached, numComputedTokens, hasSampled: false, firstScheduledTime };
    const after = this.#requests.findLastIndex((other) => other.state.priority <= state.priority);
    this.#requests.splice(after + 1, 0, running);
    return running;
  }

  /**
   * Whether a running request is about to compute the next block that a waiting one needs: waiting for it avoids
   * computing it twice. Such a block is computed within its request's next steps.
   */
  isBeingComputed(state: RequestState): boolean {
    return this.#findComputing(state) !== undefined;
  }

  /** Whether `admit` would admit a request and leave a slot, blocks and room for each of those that wait for a prefix. */
  canAdmitBeside(state: RequestState, awaiting: readonly RequestState[]): boolean {
    if (this.#freeSlots.length <= awaiting.length || !this.canAdmit(state)) return false;
    if (!haveRoom([...this.#states(), state, ...awaiting], this.#config)) return false;
    const { blockSize } = this.#config;
    // With room for one more token each, as `admit` leaves for running requests.
    const needed = [state, ...awaiting].map((each) => numBlocksFor(each.tokenIds.length, blockSize) - this.#numShared(each) + 1);
    const numNeeded = needed.reduce((sum, blocks) => sum + blocks, 0) - 1;
    return numNeeded + this.#requests.length <= this.pool.numFree;
  }

  /**
   * Allocates the blocks that a request lacks for `numTokens` more tokens. False, with none allocated, if too few are
   * free, or a step has no room for the partial results of a row of each running request.
   */
  grow(running: RunningRequest, numTokens: number): boolean {
    if (!haveRoom(this.#states(), this.#config)) return false;
    const blocks = this.#allocate(numMissingBlocks(running, numTokens, this.#config.blockSize));
    if (blocks === undefined) return false;
    running.blockTable.push(...blocks);
    return true;
  }

  /**
   * Makes the blocks findable that a request has filled. Where another request has already cached the same tokens, its
   * block replaces this one: the two hold the same bits, since a row's numbers do not depend on its step. Plans in
   * flight may read the released block, and write past its content. Its next owner's plans come after them in the
   * queue.
   */
  cacheFullBlocks({ state, cached, blockTable, numComputedTokens }: RunningRequest): void {
    const numTokens = Math.min(numComputedTokens, state.tokenIds.length);
    const numFull = Math.floor(numTokens / this.#config.blockSize);
    while (cached.length < numFull) {
      const index = cached.length;
      const own = blockTable[index];
      const entry = own === undefined ? undefined : this.#cache.insert(state, cached, own, state.request);
      if (own === undefined || entry === undefined) return; // nothing after it can be found either
      if (entry.block !== own) {
        this.pool.retain(entry.block);
        this.pool.free([own]);
        blockTable[index] = entry.block;
      }
      cached.push(entry);
    }
  }

  /** A session has ended. */
  forgetSession(sessionId: string): void {
    this.#cache.forgetSession(sessionId);
  }

  /** Removes a request and frees its resources: now, or, while it is in flight, in `releaseLeaving`. */
  remove(running: RunningRequest, isInFlight: boolean): void {
    this.#requests.splice(this.#requests.indexOf(running), 1);
    if (isInFlight) this.#leaving.push(running);
    else this.#release(running);
  }

  /** Removes a request whose numbers went wrong, so that no other finds its blocks. */
  removeFailed(running: RunningRequest, isInFlight: boolean): void {
    // A holder of a block holds those before it. So all blocks after its first unshared one are unshared.
    const { cached } = running;
    const first = cached.findIndex(({ block }) => this.pool.refCount(block) === 1);
    const [own] = first === -1 ? [] : cached.splice(first);
    if (own !== undefined) {
      this.#cache.forget(own);
      this.prefixes.onWrong(own);
    }
    this.remove(running, isInFlight);
  }

  /** Frees the resources of ended requests that are not in flight any more. */
  releaseLeaving(isInFlight: (requestId: string) => boolean): void {
    const leaving = this.#leaving;
    this.#leaving = leaving.filter(({ state }) => isInFlight(state.request.requestId));
    for (const running of leaving) if (!this.#leaving.includes(running)) this.#release(running);
  }

  /** @throws TabserveError `internal` where blocks or slots are leaked or used twice, or the cache is wrong. */
  checkIntegrity(): void {
    const { holders } = this;
    this.pool.checkIntegrity(holders.map(({ blockTable }) => blockTable));
    this.#cache.checkIntegrity();
    for (const { state, cached, blockTable } of holders) {
      const found = this.#cache.find(state, cached.length);
      if (cached.every((entry, i) => entry === found[i] && entry.block === blockTable[i])) continue;
      throw new TabserveError('internal', `Request ${state.request.requestId} holds cached blocks that are not.`);
    }
    const { maxNumSeqs } = this.#config;
    const slots = [...this.#freeSlots, ...holders.map(({ slot }) => slot)];
    const numDifferent = new Set(slots).size;
    if (slots.length !== maxNumSeqs || numDifferent !== maxNumSeqs) {
      throw new TabserveError('internal', `${slots.length} slots, ${numDifferent} different, of ${maxNumSeqs}.`);
    }
  }

  #states(without?: RunningRequest): RequestState[] {
    return this.#requests.filter((running) => running !== without).map(({ state }) => state);
  }

  #findCached(state: RequestState): readonly CachedBlock[] {
    return this.#cache.find(state, this.#numFindable(state.tokenIds));
  }

  /** The number of full blocks of a sequence that may come from the cache: the last token's logits are needed. */
  #numFindable({ length }: readonly number[]): number {
    return Math.floor((length - 1) / this.#config.blockSize);
  }

  /** The running request that computes the next block that a waiting request needs. */
  #findComputing(state: RequestState): RunningRequest | undefined {
    const { blockSize } = this.#config;
    const found = this.#findCached(state);
    const end = (found.length + 1) * blockSize;
    if (end >= state.tokenIds.length) return undefined;
    return this.#requests.find(
      ({ state: other, cached, numComputedTokens }) =>
        cached.length === found.length &&
        cached.at(-1) === found.at(-1) &&
        numComputedTokens < end &&
        this.#hasSameBlock(state, other, found.length),
    );
  }

  /** Whether two requests that agree before a block have the same full block there. */
  #hasSameBlock(a: RequestState, b: RequestState, index: number): boolean {
    const end = (index + 1) * this.#config.blockSize;
    if (end > a.tokenIds.length || end > b.tokenIds.length) return false;
    return this.#cache.hashOf(a, index) === this.#cache.hashOf(b, index);
  }

  /** Blocks in use that a waiting request will share, including those that are still being computed for it. */
  #numShared(state: RequestState): number {
    const found = this.#findCached(state);
    const computing = this.#findComputing(state);
    if (computing === undefined) return found.filter(({ block }) => this.pool.refCount(block) > 0).length;
    let numShared = found.length;
    const most = this.#numFindable(state.tokenIds);
    while (numShared < most && this.#hasSameBlock(state, computing.state, numShared)) numShared++;
    return numShared;
  }

  #allocate(count: number): readonly number[] | undefined {
    const blocks = this.pool.allocate(count);
    for (const block of blocks ?? []) this.#cache.evict(block);
    return blocks;
  }

  #release(running: RunningRequest): void {
    this.pool.free(running.blockTable);
    this.#freeSlots.push(running.slot);
  }
}
