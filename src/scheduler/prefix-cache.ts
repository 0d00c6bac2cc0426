import { TabserveError } from '../core/errors.ts';
import type { EngineRequest } from '../core/request.ts';
import { type BlockHash, type HashBlock, hashBlock, hashSalt } from './block-hash.ts';

/** A sequence of tokens whose blocks may be shared. */
export interface HashedSequence {
  /** Only grows. */
  readonly tokenIds: readonly number[];
  /** Sequences of different salts share nothing. */
  readonly cacheSalt: string;
  /** The hashes of the first full blocks, as far as they were needed; grows here. */
  readonly blockHashes: BlockHash[];
}

/** On whose behalf a block is computed or found. */
export type BlockUser = Pick<EngineRequest, 'sessionId' | 'persistPrefix'>;

/** A full block whose KV is in the GPU's memory: what it holds, and what comes before it. */
export interface CachedBlock {
  readonly block: number;
  readonly hash: BlockHash;
  /** The block before it; `undefined` for the first of a sequence. */
  readonly parent: CachedBlock | undefined;
  readonly cacheSalt: string;
  readonly tokenIds: readonly number[];
  /** The sessions whose requests have computed or found it: they are told when they find it again. */
  readonly sessions: Set<string>;
  /** Whether it comes from storage, which all scripts of the origin can read: then any session is told. */
  readonly isRestored: boolean;
  /**
   * How many requests that may be kept have asked for it: the one that computed it, and those that found it when they first
   * left the queue. Others do not count. What comes from storage begins at 1.
   */
  timesAsked: number;
  /** When such a request last found it, in the engine clock's milliseconds. */
  lastHit: number;
}

/**
 * Which blocks can be found again by the tokens that they and all blocks before them hold: vLLM's automatic prefix
 * caching, by chained block hashes. The cache holds no references: a block stays findable after the last request has
 * freed it, until the pool hands it out for something else.
 *
 * A hash only says where to look. A block is found if its tokens, its salt, and, block by block, everything before it
 * are the same: two sequences whose hashes collide never get each other's KV.
 *
 * A parent outlives its children: whoever holds a block holds those before it, and frees them after it.
 */
export class PrefixCache {
  readonly #blockSize: number;
  readonly #hashBlock: HashBlock;
  readonly #byHash = new Map<BlockHash, CachedBlock>();
  readonly #byBlock = new Map<number, CachedBlock>();

  /** @param hash tests give a bad one. */
  constructor(blockSize: number, hash: HashBlock = hashBlock) {
    this.#blockSize = blockSize;
    this.#hashBlock = hash;
  }

  /** How many blocks can be found. */
  get size(): number {
    return this.#byBlock.size;
  }

  /** Whether what a block holds can be found. */
  has(block: number): boolean {
    return this.#byBlock.has(block);
  }

  /** All blocks that can be found, in no order. */
  get blocks(): Iterable<CachedBlock> {
    return this.#byBlock.values();
  }

  /** What a block holds for others to find, if anything. */
  blockAt(block: number): CachedBlock | undefined {
    return this.#byBlock.get(block);
  }

  /** Whether a sequence's full block has a hash under which something is stored. */
  isTaken(sequence: HashedSequence, index: number): boolean {
    return this.#byHash.has(this.hashOf(sequence, index));
  }

  /** How many of these a session may be told that it has found: that others have asked for the rest is not its business. */
  countTold(found: readonly CachedBlock[], sessionId: string): number {
    return found.filter(({ sessions, isRestored }) => isRestored || sessions.has(sessionId)).length;
  }

  /** A session has ended: nothing is told to it any more. */
  forgetSession(sessionId: string): void {
    for (const { sessions } of this.#byBlock.values()) sessions.delete(sessionId);
  }

  /** Counts a request that has found these, if it may be kept. @param now the engine clock's milliseconds. */
  hit(found: readonly CachedBlock[], { persistPrefix = false }: BlockUser, now: number): void {
    if (!persistPrefix) return;
    for (const cached of found) {
      cached.timesAsked++;
      cached.lastHit = now;
    }
  }

  /** The blocks that hold the start of a sequence: as many as there are, one after the other, at most `maxBlocks`. */
  find(sequence: HashedSequence, maxBlocks: number): readonly CachedBlock[] {
    const found: CachedBlock[] = [];
    while (found.length < maxBlocks) {
      const cached = this.#byHash.get(this.hashOf(sequence, found.length));
      if (cached === undefined || !this.#holds(cached, sequence, found)) break;
      found.push(cached);
    }
    return found;
  }

  /**
   * Makes a computed block findable: the sequence's next one after those in `parents`. Returns the block that holds
   * this content from now on, which is an earlier one where there is one; or `undefined` where other content of the
   * same hash is in the way.
   *
   * @param user for whom it was computed; left out where it comes from storage
   */
  insert(
    sequence: HashedSequence,
    parents: readonly CachedBlock[],
    block: number,
    user?: BlockUser,
  ): CachedBlock | undefined {
    const index = parents.length;
    const hash = this.hashOf(sequence, index);
    const there = this.#byHash.get(hash);
    if (there !== undefined) {
      if (!this.#holds(there, sequence, parents)) return undefined;
      if (user !== undefined) there.sessions.add(user.sessionId);
      return there;
    }
    const { cacheSalt } = sequence;
    const tokenIds = sequence.tokenIds.slice(index * this.#blockSize, (index + 1) * this.#blockSize);
    const timesAsked = user === undefined || user.persistPrefix === true ? 1 : 0;
    const sessions = new Set(user === undefined ? [] : [user.sessionId]);
    const origin = { sessions, isRestored: user === undefined };
    const cached = { block, hash, parent: parents.at(-1), cacheSalt, tokenIds, ...origin, timesAsked, lastHit: 0 };
    this.#byHash.set(hash, cached);
    this.#byBlock.set(block, cached);
    return cached;
  }

  /** The block is handed out: what it held is gone. */
  evict(block: number): void {
    const cached = this.#byBlock.get(block);
    if (cached === undefined) return;
    this.#byBlock.delete(block);
    this.#byHash.delete(cached.hash);
  }

  /** A block's content is wrong, and so is that of all blocks that come after it: none is found again. */
  forget(wrong: CachedBlock): void {
    const comesAfter = (cached: CachedBlock | undefined): boolean =>
      cached !== undefined && (cached === wrong || comesAfter(cached.parent));
    for (const [block, cached] of this.#byBlock) if (comesAfter(cached)) this.evict(block);
  }

  /** The chained hash of a sequence's full block. */
  hashOf(sequence: HashedSequence, index: number): BlockHash {
    const { blockHashes, tokenIds, cacheSalt } = sequence;
    for (let i = blockHashes.length; i <= index; i++) {
      const parent = blockHashes[i - 1] ?? hashSalt(cacheSalt);
      blockHashes.push(this.#hashBlock(parent, tokenIds, i * this.#blockSize, (i + 1) * this.#blockSize));
    }
    const hash = blockHashes[index];
    if (hash === undefined) throw new TabserveError('internal', `There is no block ${index} in a sequence.`);
    return hash;
  }

  /** @throws TabserveError `internal` where a block's entry is lost, or its parent's has gone before it. */
  checkIntegrity(): void {
    for (const [block, cached] of this.#byBlock) {
      if (cached.block !== block || this.#byHash.get(cached.hash) !== cached) {
        throw new TabserveError('internal', `Cached block ${block} cannot be found by its hash.`);
      }
      if (cached.parent !== undefined && this.#byBlock.get(cached.parent.block) !== cached.parent) {
        throw new TabserveError('internal', `Block ${block} is cached, the one before it is not.`);
      }
    }
    if (this.#byHash.size !== this.#byBlock.size) {
      throw new TabserveError('internal', `${this.#byHash.size} hashes for ${this.#byBlock.size} cached blocks.`);
    }
  }

  /** Whether a cached block is the sequence's next one after `parents`, not only by its hash. */
  #holds(cached: CachedBlock, sequence: HashedSequence, parents: readonly CachedBlock[]): boolean {
    const start = parents.length * this.#blockSize;
    return (
      cached.parent === parents.at(-1) &&
      cached.cacheSalt === sequence.cacheSalt &&
      cached.tokenIds.every((token, i) => token === sequence.tokenIds[start + i])
    );
  }
}
