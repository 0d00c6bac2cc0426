import type { BlockPool } from './block-pool.ts';
import type { CachedBlock, PrefixCache } from './prefix-cache.ts';

/**
 * The result of restoring a block: it is findable now (`adopted`), or was already (`there`); the block before it is not
 * findable (`orphan`); other content has the same hash (`collision`); the pool must stay as free as it is (`full`).
 */
export type Adoption = 'adopted' | 'there' | 'orphan' | 'collision' | 'full';

/**
 * The interface of the prefix cache to a store of KV outside of it: it lists the blocks worth storing, and restores
 * stored ones. It handles tokens and blocks, not storage or copies.
 *
 * Only sequences without a salt pass through it, because a salt keeps its blocks private.
 */
export class PrefixExchange {
  /** Called with a block whose content is wrong. It and the blocks after it are not findable any more. */
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
   * found, and none the start of another. Those found last come first. Only persistable requests count, so such a
   * request has asked for each whole start.
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

  /** Whether a block still has the content that it had when it was listed. */
  holds(cached: CachedBlock): boolean {
    return this.#cache.blockAt(cached.block) === cached;
  }

  /** Nothing is findable any more. Only while there is no request. */
  clear(): void {
    this.#cache.clear();
  }

  /** Resets all counts: only later requests make blocks hot. */
  cool(): void {
    for (const cached of this.#cache.blocks) cached.timesAsked = 0;
  }

  /**
   * Restores the last block of `tokenIds`, which begin a sequence and fill whole blocks. `write` puts its KV into the
   * given GPU block, before any work submitted later. Then the block is findable, and can be evicted like any that
   * nobody holds. All this is synchronous, so a block that is half written is never seen.
   *
   * No findable block is evicted for it, and at least half of the pool stays free of findable blocks.
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
    // Held and freed as by a request, so that those before it are reused after it.
    const table = [...found.map((parent) => parent.block), block];
    for (const each of table) this.#pool.retain(each);
    this.#cache.insert(sequence, found, block);
    this.#pool.free(table);
    return 'adopted';
  }
}

/** Whether a block is worth storing. A block with a salt is private. */
export function isHot({ timesAsked, cacheSalt }: CachedBlock): boolean {
  return timesAsked > 1 && cacheSalt === '';
}

/** A block and all before it, in the order of their sequence. */
function chainTo(last: CachedBlock): readonly CachedBlock[] {
  const chain: CachedBlock[] = [];
  for (let cached: CachedBlock | undefined = last; cached !== undefined; cached = cached.parent) chain.push(cached);
  return chain.toReversed();
}
