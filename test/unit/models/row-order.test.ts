import { expect, test } from 'vitest';
import { interleavedHalves } from '../../../src/models/row-order.ts';

test.each([[64, 64], [48, 48], [80, 32], [4, 2]])('heads of %i with %i rotated: pairs of halves become neighbours, and no row is lost', (headSize, dimensions) => {
  const { period, place } = interleavedHalves(headSize, dimensions);
  const rows = Array.from({ length: 3 * headSize }, (_, row) => row);
  expect(period).toBe(headSize);
  expect(rows.map(place).toSorted((a, b) => a - b)).toEqual(rows);
  for (let head = 0; head < 3 * headSize; head += headSize) {
    for (let i = 0; i < dimensions / 2; i++) {
      expect([place(head + i), place(head + i + dimensions / 2)]).toEqual([head + 2 * i, head + 2 * i + 1]);
    }
    for (let i = dimensions; i < headSize; i++) expect(place(head + i)).toBe(head + i);
  }
});
