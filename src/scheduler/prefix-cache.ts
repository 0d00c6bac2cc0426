import { TabserveError } from '../core/errors.ts';
import type { EngineRequest } from '../core/request.ts';
import { type BlockHash, type HashBlock, hashBlock, hashSalt } from './block-hash.ts';

/** A sequence of tokens whose blocks may be shared. */
export interface HashedSequence {
  /** Append-only. */
  readonly tokenIds: readonly number[];
  /** Sequences of different salts share no blocks. */
  readonly cacheSalt: string;
  /** The hashes of the first full blocks, computed when needed. Append-only. */
  readonly blockHashes: BlockHash[];
}

/** The request for which a block is computed or found. */
export type BlockUser = Pick<EngineRequest, 'sessionId' | 'persistPrefix'>;

/** A full block whose KV is in the GPU's memory: its content, and the block before it. */
export interface CachedBlock {
  readonly block: number;
  readonly hash: BlockHash;
  /** The block before it; `undefined` for the first of a sequence. */
  readonly parent: CachedBlock | undefined;
  readonly cacheSalt: string;
  readonly tokenIds: readonly number[];
  /** The sessions whose requests have computed or found it. Only they may learn that it is cached. */
  readonly sessions: Set<string>;
  /** Whether it comes from storage, which all scripts of the origin can read. Then any session may learn of it. */
  readonly isRestored: boolean;
  /**
   * The number of persistable requests that have used it: the one that computed it, and those that found it when they
   * first left the queue. A block from storage starts at 1.
   */
  timesAsked: number;
  /** When such a request last found it, in the engine clock's milliseconds. */
  lastHit: number;
}

/**
 * The blocks that can be found by their tokens and those of all blocks before them: vLLM's automatic prefix caching, by
 * chained block hashes. The cache holds no references: a block stays findable after the last request has freed it,
 * until the pool allocates it again.
 *
 * A hash only selects a candidate. A block matches if its tokens, its salt and all blocks before it are the same, so
 * two sequences whose hashes collide never share KV.
 *
 * A parent outlives its children: a request that holds a block holds those before it, and frees them after it.
 */
export class PrefixCache {
  readonly #blockSize: number;
  readonly #hashBlock: HashBlock;
  readonly #byHash = new Map<BlockHash, CachedBlock>();
  readonly #byBlock = new Map<number, CachedBlock>();

  /** @param hash tests pass one that collides. */
  constructor(blockSize: number, hash: HashBlock = hashBlock) {
    this.#blockSize = blockSize;
    this.#hashBlock = hash;
  }

  /** The number of findable blocks. */
  get size(): number {
    return this.#byBlock.size;
  }

  /** Whether the block's content can be found. */
  has(block: number): boolean {
    return this.#byBlock.has(block);
  }

  /** All findable blocks, in no order. */
  get blocks(): Iterable<CachedBlock> {
    return this.#byBlock.values();
  }

  /** The findable content of a block, if any. */
  blockAt(block: number): CachedBlock | undefined {
    return this.#byBlock.get(block);
  }

  /** Whether the cache has an entry under the hash of a sequence's full block. */
  isTaken(sequence: HashedSequence, index: number): boolean {
    return this.#byHash.has(this.hashOf(sequence, index));
  }

  /** The number of these that a session may know of: other sessions' requests are private. */
  countTold(found: readonly CachedBlock[], sessionId: string): number {
    return found.filter(({ sessions, isRestored }) => isRestored || sessions.has(sessionId)).length;
  }

  /** A session has ended. */
  forgetSession(sessionId: string): void {
    for (const { sessions } of this.#byBlock.values()) sessions.delete(sessionId);
  }

  /** Counts a persistable request that has found these blocks. @param now the engine clock's milliseconds. */
  hit(found: readonly CachedBlock[], { persistPrefix = false }: BlockUser, now: number): void {
    if (!persistPrefix) return;
    for (const cached of found) {
      cached.timesAsked++;
      cached.lastHit = now;
    }
  }

  /** The cached blocks of the start of a sequence, consecutive, at most `maxBlocks`. */
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
   * Makes a computed block findable: the sequence's next one after those in `parents`. Returns the block that
   * represents this content from now on, which is an earlier one where there is one; or `undefined` where other content
   * has the same hash.
   *
   * @param user the request that computed it; undefined where it comes from storage
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

  /** The block is allocated again, and its content is lost. */
  evict(block: number): void {
    const cached = this.#byBlock.get(block);
    if (cached === undefined) return;
    this.#byBlock.delete(block);
    this.#byHash.delete(cached.hash);
  }

  /** Nothing is findable any more. Only while no request holds a block. */
  clear(): void {
    this.#byBlock.clear();
    this.#byHash.clear();
  }

  /** A block's content is wrong: neither it nor any block after it is found again. */
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

  /** @throws TabserveError `internal` where a block's entry is missing, or its parent's was removed before it. */
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

  /** Whether a cached block is the sequence's next one after `parents`, by content and not only by hash. */
  #holds(cached: CachedBlock, sequence: HashedSequence, parents: readonly CachedBlock[]): boolean {
    const start = parents.length * this.#blockSize;
    return (
      cached.parent === parents.at(-1) &&
      cached.cacheSalt === sequence.cacheSalt &&
      cached.tokenIds.every((token, i) => token === sequence.tokenIds[start + i])
    );
  }
}
