import type { BlockPool } from './block-pool.ts';
import type { CachedBlock, PrefixCache } from './prefix-cache.ts';

/**
 * What became of a block from outside: it is findable now (`adopted`), or was already (`there`); the block before it is
 * not findable (`orphan`); other content of the same hash is in the way (`collision`); the pool is to stay as free as it
 * is (`full`).
 */
export type Adoption = 'adopted' | 'there' | 'orphan' | 'collision' | 'full';

/**
 * The prefix cache's door to whoever keeps KV outside of it: which blocks are worth keeping, and a way in for those that
 * were kept. It knows of tokens and blocks, not of where they are kept or how their KV is copied.
 *
 * Only sequences without a salt go through it: a salt says that others are not to find what it covers.
 */
export class PrefixExchange {
  /** Called with a block that turned out to be wrong, and so is what comes after it; neither is findable any more. */
  onWrong: (cached: CachedBlock) => void = () => {};
  readonly #pool: BlockPool;
  readonly #cache: PrefixCache;
  readonly #blockSize: number;

  constructor(pool: BlockPool, cache: PrefixCache, blockSize: number) {
    this.#pool = pool;
    this.#cache = cache;
    this.#blockSize = blockSize;
  }

  /**
   * The starts of sequences, of at least `minBlocks` blocks, that a later request has found: each as long as it was
   * found, and none the start of another. Those found last come first. Only requests that may be kept count, so that each
   * start is one that such a request has asked for, whole.
   */
  hot(minBlocks: number): readonly (readonly CachedBlock[])[] {
    const hot = [...this.#cache.blocks].filter(isHot);
    const inner = new Set(hot.map(({ parent }) => parent));
    return hot
      .filter((cached) => !inner.has(cached))
      .map(chainTo)
      .filter((chain) => chain.length >= minBlocks)
      .toSorted((a, b) => (b.at(-1)?.lastHit ?? 0) - (a.at(-1)?.lastHit ?? 0));
  }

  /** Whether a block still holds what it held when it was listed. */
  holds(cached: CachedBlock): boolean {
    return this.#cache.blockAt(cached.block) === cached;
  }

  /** Nothing is hot any more: only requests that come from now on count. */
  cool(): void {
    for (const cached of this.#cache.blocks) cached.timesAsked = 0;
  }

  /**
   * Takes in the last block of `tokenIds`, which begin a sequence and fill whole blocks. `write` puts its KV into the
   * block of the GPU that it is given, before anything that is submitted later; then the block is findable, and as
   * evictable as any that nobody holds. All in one turn: a block that is half written is never seen.
   *
   * Nothing that can be found is evicted for it, and at least half of the pool stays free of anything to be found.
   */
  adopt(tokenIds: readonly number[], write: (block: number) => void): Adoption {
    const index = tokenIds.length / this.#blockSize - 1;
    const sequence = { tokenIds, cacheSalt: '', blockHashes: [] };
    const found = this.#cache.find(sequence, index + 1);
    if (found.length > index) return 'there';
    if (found.length < index) return 'orphan';
    if (this.#cache.isTaken(sequence, index)) return 'collision';
    const empty = [...this.#pool.freeBlocks].filter((block) => !this.#cache.has(block));
    const [block] = empty;
    if (block === undefined || empty.length - 1 < this.#pool.numBlocks / 2) return 'full';
    write(block);
    // Held and freed as a request would: those before it are handed out after it.
    const table = [...found.map((parent) => parent.block), block];
    for (const each of table) this.#pool.retain(each);
    this.#cache.insert(sequence, found, block);
    this.#pool.free(table);
    return 'adopted';
  }
}

/** Whether a block is worth keeping. A salt says that others are not to find it. */
export function isHot({ timesAsked, cacheSalt }: CachedBlock): boolean {
  return timesAsked > 1 && cacheSalt === '';
}

/** A block and all before it, in the order of their sequence. */
function chainTo(last: CachedBlock): readonly CachedBlock[] {
  const chain: CachedBlock[] = [];
  for (let cached: CachedBlock | undefined = last; cached !== undefined; cached = cached.parent) chain.push(cached);
  return chain.toReversed();
}
