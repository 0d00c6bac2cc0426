import { describe, expect, test } from 'vitest';
import { BlockPool } from '../../../src/scheduler/block-pool.ts';
import { createRandom } from '../../support/random.ts';

function allocate(pool: BlockPool, count: number): readonly number[] {
  const blocks = pool.allocate(count);
  if (blocks === undefined) throw new Error('Too few free blocks.');
  return blocks;
}

describe('BlockPool', () => {
  test('hands out every block once, then refuses without taking any', () => {
    const pool = new BlockPool(5);
    const first = allocate(pool, 3);
    expect(pool.allocate(3)).toBeUndefined();
    expect(pool.numFree).toBe(2);
    const second = allocate(pool, 2);
    expect(new Set([...first, ...second])).toEqual(new Set([0, 1, 2, 3, 4]));
    expect(pool.allocate(1)).toBeUndefined();
    expect(pool.allocate(0)).toEqual([]);
    pool.checkIntegrity([first, second]);
  });

  test('reuses the block free for longest first, and the end of a table before its start', () => {
    const pool = new BlockPool(4);
    const [a, b] = [allocate(pool, 2), allocate(pool, 2)];
    pool.free(b);
    pool.free(a);
    expect(allocate(pool, 4)).toEqual([...b.toReversed(), ...a.toReversed()]);
  });

  test('keeps a shared block until its last holder frees it, and takes a retained free block off the free list', () => {
    const pool = new BlockPool(3);
    const table = allocate(pool, 2);
    const [shared = -1, own = -1] = table;
    pool.retain(shared);
    pool.free(table);
    expect(pool.numFree).toBe(2);
    pool.checkIntegrity([[shared]]);
    pool.retain(own);
    expect(pool.numFree).toBe(1);
    expect(allocate(pool, 1)).not.toContain(own);
    pool.free([shared, own]);
    expect(pool.numFree).toBe(2);
  });

  test('refuses to free what is not held, and blocks it does not have', () => {
    const pool = new BlockPool(2);
    const table = allocate(pool, 1);
    pool.free(table);
    expect(() => pool.free(table)).toThrow(expect.objectContaining({ code: 'internal' }));
    expect(() => pool.free([2])).toThrow(expect.objectContaining({ code: 'internal' }));
    expect(() => pool.retain(2)).toThrow(expect.objectContaining({ code: 'internal' }));
    pool.checkIntegrity([]);
  });

  test('checkIntegrity finds a leak, a wrong share, a use after free and a block named twice', () => {
    const pool = new BlockPool(4);
    const table = allocate(pool, 2);
    const [block = -1] = table;
    expect(() => pool.checkIntegrity([])).toThrow(/references/);
    expect(() => pool.checkIntegrity([table, [block]])).toThrow(/references/);
    expect(() => pool.checkIntegrity([table, [3]])).toThrow(/references/);
    expect(() => pool.checkIntegrity([[...table, 4]])).toThrow(/no block 4/);
    expect(() => pool.checkIntegrity([[block, block]])).toThrow(/twice/);
    pool.checkIntegrity([table]);
  });

  test('free, retain and allocate at random keep the books right', () => {
    const random = createRandom(7);
    const pool = new BlockPool(20);
    const tables: (readonly number[])[] = [];
    let shares = 0;
    for (let i = 0; i < 3000; i++) {
      const table = tables[random.below(tables.length)];
      if (random.below(2) === 0) {
        const blocks = pool.allocate(random.below(6));
        if (blocks !== undefined) tables.push(blocks);
      } else if (table !== undefined && random.below(3) === 0) {
        const prefix = table.slice(0, random.below(table.length + 1));
        for (const block of prefix) pool.retain(block);
        tables.push(prefix);
        shares += prefix.length;
      } else if (table !== undefined) {
        pool.free(table);
        tables.splice(tables.indexOf(table), 1);
      }
      pool.checkIntegrity(tables);
      expect(pool.numFree).toBe(20 - new Set(tables.flat()).size);
    }
    expect(shares).toBeGreaterThan(100);
  });
});
