import { expect, test } from 'vitest';
import { interleavedHalves, sourceRow } from '../../../src/models/row-permutation.ts';

test.each([[64, 64], [48, 48], [80, 32], [4, 2]])('heads of %i with %i rotated: pairs of halves become neighbours, and no row is lost', (headSize, dimensions) => {
  const { groupRows, targetRow } = interleavedHalves(headSize, dimensions);
  const rows = Array.from({ length: 3 * headSize }, (_, row) => row);
  expect(groupRows).toBe(headSize);
  expect(rows.map(targetRow).toSorted((a, b) => a - b)).toEqual(rows);
  expect(rows.map((row) => sourceRow({ groupRows, targetRow }, targetRow(row)))).toEqual(rows);
  for (let head = 0; head < 3 * headSize; head += headSize) {
    for (let i = 0; i < dimensions / 2; i++) {
      expect([targetRow(head + i), targetRow(head + i + dimensions / 2)]).toEqual([head + 2 * i, head + 2 * i + 1]);
    }
    for (let i = dimensions; i < headSize; i++) expect(targetRow(head + i)).toBe(head + i);
  }
});
