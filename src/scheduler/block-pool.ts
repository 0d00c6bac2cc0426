import { TabserveError } from '../core/errors.ts';

/**
 * Who holds which KV block. A block is free, or held by one or more block tables (its reference count); the pool knows
 * nothing of requests, tokens or the GPU.
 *
 * Free blocks queue up by when they were freed and the one free for longest is handed out first, so that what a block
 * still contains stays findable for as long as possible (vLLM's `BlockPool`).
 */
export class BlockPool {
  readonly numBlocks: number;
  readonly #refCounts: Uint32Array;
  /** Oldest first: a Set iterates in insertion order, and gives up any member in constant time. */
  readonly #free: Set<number>;

  constructor(numBlocks: number) {
    this.numBlocks = numBlocks;
    this.#refCounts = new Uint32Array(numBlocks);
    this.#free = new Set(this.#refCounts.keys());
  }

  get numFree(): number {
    return this.#free.size;
  }

  /** Those that nobody holds, the next to be handed out first. */
  get freeBlocks(): Iterable<number> {
    return this.#free.keys();
  }

  /** How many block tables name it. */
  refCount(block: number): number {
    return this.#refCounts[block] ?? 0;
  }

  /** `count` blocks with a reference count of 1 each, or `undefined` (and nothing taken) where fewer are free. */
  allocate(count: number): readonly number[] | undefined {
    if (count > this.#free.size) return undefined;
    const blocks: number[] = [];
    for (const block of this.#free) {
      if (blocks.length === count) break;
      blocks.push(block);
    }
    for (const block of blocks) this.#take(block);
    return blocks;
  }

  /** One more reference to a block, held or free, whose content is to be kept and shared. */
  retain(block: number): void {
    this.#take(block);
  }

  /**
   * Gives back one reference to each block of a table. Its last block is freed first and so reused first: the start of
   * a sequence is what another one may share.
   * @throws TabserveError `internal` when a block is not held.
   */
  free(blockTable: readonly number[]): void {
    for (const block of blockTable.toReversed()) {
      const count = this.#refCounts[block];
      if (count === undefined || count === 0) throw new TabserveError('internal', `Block ${block} freed but not held.`);
      this.#refCounts[block] = count - 1;
      if (count === 1) this.#free.add(block);
    }
  }

  /**
   * Checks the books: every block is either free or held, and held exactly as often as the tables say.
   * @param blockTables every block table alive.
   * @throws TabserveError `internal` naming the first block that is leaked, shared wrongly, or free while in use.
   */
  checkIntegrity(blockTables: Iterable<readonly number[]>): void {
    const uses = new Uint32Array(this.numBlocks);
    for (const table of blockTables) {
      if (new Set(table).size !== table.length) {
        throw new TabserveError('internal', `A block table names a block twice: ${table.join(' ')}.`);
      }
      for (const block of table) {
        const count = uses[block];
        if (count === undefined) throw new TabserveError('internal', `There is no block ${block}.`);
        uses[block] = count + 1;
      }
    }
    for (const [block, used] of uses.entries()) {
      const count = this.#refCounts[block];
      if (count !== used) {
        throw new TabserveError('internal', `Block ${block} has ${count} references, but ${used} tables name it.`);
      }
      if (this.#free.has(block) !== (used === 0)) {
        throw new TabserveError('internal', `Block ${block} is ${used === 0 ? 'lost' : 'free while in use'}.`);
      }
    }
  }

  #take(block: number): void {
    const count = this.#refCounts[block];
    if (count === undefined) throw new TabserveError('internal', `There is no block ${block}.`);
    this.#refCounts[block] = count + 1;
    this.#free.delete(block);
  }
}
