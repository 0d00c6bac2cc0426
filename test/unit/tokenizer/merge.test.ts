import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runSync } from '../../../src/core/cooperative-task.ts';
import { createMerger, type MergeTable } from '../../../src/tokenizer/merge.ts';

/** Merges as the definition has them: look at all pairs, take the best, begin again. */
function mergeByDefinition({ find, ranks, results }: MergeTable, ids: readonly number[]): number[] {
  const left = [...ids];
  for (;;) {
    const found = left.slice(1).map((right, i) => find(left[i] ?? -1, right));
    const rank = (merge: number): number => (merge < 0 ? Infinity : (ranks[merge] ?? Infinity));
    const best = found.reduce((at, merge, i) => (rank(merge) < rank(found[at] ?? -1) ? i : at), 0);
    const merge = found[best] ?? -1;
    if (merge < 0) return left;
    left.splice(best, 2, results[merge] ?? -1);
  }
}

const merged = (table: MergeTable, ids: readonly number[]): readonly number[] => {
  const out: number[] = [];
  runSync(createMerger(table)(Int32Array.from(ids), (id) => out.push(id)));
  return out;
};

describe('createMerger', () => {
  const TOKENS = 4;
  /** Any merges at all: of some tokens into others, with ranks of which many are the same. */
  const anyTable = fc
    .array(fc.record({ left: fc.nat(TOKENS), right: fc.nat(TOKENS), result: fc.nat(TOKENS), rank: fc.nat(8) }), { minLength: 8, maxLength: 25 })
    .map((merges): MergeTable => ({
      find: (left, right) => merges.findIndex((merge) => merge.left === left && merge.right === right),
      ranks: merges.map(({ rank }) => rank),
      results: merges.map(({ result }) => result),
    }));

  it('takes the best pair first, of equals the leftmost, whatever the merges', () => {
    fc.assert(
      fc.property(anyTable, fc.array(fc.integer({ min: -1, max: TOKENS }), { maxLength: 40 }), (table, ids) => {
        expect(merged(table, ids)).toEqual(mergeByDefinition(table, ids));
      }),
      { seed: 5, numRuns: 3000 },
    );
  });

  it('a pair that has changed waits for its new turn', () => {
    // 1 2 merges before 0 1, whose turn then belongs to nobody: 12 3 comes before 0 12.
    const table = { '1 2': 0, '0 1': 1, '4 3': 2, '0 4': 3 } as Readonly<Record<string, number>>;
    const find = (left: number, right: number): number => table[`${left} ${right}`] ?? -1;
    expect(merged({ find, ranks: [0, 1, 2, 3], results: [4, 5, 6, 7] }, [0, 1, 2, 3])).toEqual([0, 6]);
  });

  it('takes time in proportion to the text: half a million merges of one kind', () => {
    const doubling: MergeTable = { find: (left, right) => (left === right && left >= 0 && left < 19 ? left : -1), ranks: Array.from({ length: 19 }, (_, i) => i), results: Array.from({ length: 19 }, (_, i) => i + 1) };
    expect(merged(doubling, Array<number>(2 ** 19).fill(0))).toEqual([19]);
  });

  it('says where what remains began', () => {
    const places: number[] = [];
    const pairs: MergeTable = { find: (left, right) => (left === 0 && right === 0 ? 0 : -1), ranks: [0], results: [1] };
    runSync(createMerger(pairs)(Int32Array.of(-1, 0, 0, -1), (_, place) => places.push(place)));
    expect(places).toEqual([0, 1, 3]);
  });
});
