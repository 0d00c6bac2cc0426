import { TabserveError } from '../core/errors.ts';

/**
 * The owners of KV blocks. A block is free, or held by one or more block tables (its reference count). The pool knows
 * nothing of requests, tokens or the GPU.
 *
 * Free blocks queue in the order in which they were freed, and the oldest is allocated first. So the content of a block
 * stays findable as long as possible (vLLM's `BlockPool`).
 */
export class BlockPool {
  readonly numBlocks: number;
  readonly #refCounts: Uint32Array;
  /** Oldest first: a Set iterates in insertion order, and deletes any member in constant time. */
  readonly #free: Set<number>;

  constructor(numBlocks: number) {
    this.numBlocks = numBlocks;
    this.#refCounts = new Uint32Array(numBlocks);
    this.#free = new Set(this.#refCounts.keys());
  }

  get numFree(): number {
    return this.#free.size;
  }

  /** The blocks that nobody holds, in the order of allocation. */
  get freeBlocks(): Iterable<number> {
    return this.#free.keys();
  }

  /** The number of block tables that hold the block. */
  refCount(block: number): number {
    return this.#refCounts[block] ?? 0;
  }

  /** `count` blocks with a reference count of 1 each, or `undefined`, with nothing allocated, where fewer are free. */
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

  /** Adds a reference to a block, held or free, whose content is shared. */
  retain(block: number): void {
    this.#take(block);
  }

  /**
   * Releases one reference to each block of a table. Its last block is freed first and so reused first, because other
   * sequences may share its start.
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
   * Checks the pool: every block is either free or held, and its reference count matches the tables.
   * @param blockTables every block table in use.
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
