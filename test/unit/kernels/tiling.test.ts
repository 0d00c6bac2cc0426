import { expect, test } from 'vitest';
import { candidateTilings, defaultTilings, estimatedCost, isDeferredWidth, nameOfTiling, workgroupBytes } from '../../../src/kernels/tiling.ts';

const needs = [true, false].flatMap((isSoftware) =>
  [true, false].flatMap((paired) =>
    [1, 2, 5, 9, 16].flatMap((slices) => [2, 9, 48, 768].map((matrixTiles) => ({ isSoftware, paired, slices, matrixTiles }))),
  ),
).filter(({ paired, matrixTiles }) => !paired || matrixTiles % 2 === 0);

test.each(needs)('every candidate fits any GPU and the matrix: %o', (need) => {
  for (const tokens of [1, 2, 4, 8]) {
    const all = candidateTilings(need, tokens);
    expect(all.length).toBeGreaterThan(0);
    expect(new Set(all.map(nameOfTiling)).size).toBe(all.length);
    for (const tiling of all) {
      const { set, splits, tiles, series } = tiling;
      expect(tiling.tokens).toBe(tokens);
      expect(set % 8).toBe(0);
      expect(set * splits).toBeLessThanOrEqual(256);
      expect(workgroupBytes(tiling)).toBeLessThanOrEqual(16_384);
      expect(need.matrixTiles % (tiles * series)).toBe(0);
      if (need.paired) expect(tiles * series).toBe(2);
      // k that is summed in one piece cannot be shared out.
      if (need.slices === 1 || need.isSoftware) expect(splits).toBe(1);
      else expect(splits).toBeLessThan(2 * need.slices);
    }
  }
});

test('in compatibility mode no workgroup has more than 128 lanes', () => {
  for (const need of needs) {
    const own = { ...need, maxLanes: 128 };
    const all = [...defaultTilings(own), ...[1, 2, 4, 8].flatMap((tokens) => candidateTilings(own, tokens))];
    for (const { set, splits } of all) expect(set * splits).toBeLessThanOrEqual(128);
  }
});

test('on a GPU one token is shared out in many ways', () => {
  const all = candidateTilings({ isSoftware: false, paired: false, slices: 16, matrixTiles: 9 }, 1);
  expect(new Set(all.map(({ splits }) => splits))).toEqual(new Set([1, 2, 4, 8, 16]));
  expect(new Set(all.map(({ tiles }) => tiles))).toEqual(new Set([1, 3]));
});

test.each(needs)('the tiling that costs least by estimate is first: %o', (need) => {
  for (const tokens of [1, 8]) {
    const costs = candidateTilings(need, tokens).map((tiling) => estimatedCost(tiling, need));
    expect(costs).toEqual(costs.toSorted((a, b) => a - b));
    for (const cost of costs) expect(cost).toBeGreaterThan(0);
  }
});

test('a small matrix promises most with k shared out, a large one with several tiles a lane', () => {
  const first = (matrixTiles: number, tokens: number) => candidateTilings({ isSoftware: false, paired: false, slices: 16, matrixTiles }, tokens).slice(0, 7);
  expect(first(18, 1).slice(0, 3).map(({ splits }) => splits)).toEqual([16, 16, 16]);
  for (const { tiles } of first(4608, 1).slice(0, 3)) expect(tiles).toBeGreaterThan(1);
  expect(first(4608, 8)[0]?.tiles).toBe(2);
  expect(first(4608, 1)[0]?.splits).toBeLessThan(16);
});

test('names tell every tiling from every other', () => {
  const all = needs.flatMap((need) => [...defaultTilings(need), ...[1, 2, 4, 8].flatMap((tokens) => candidateTilings(need, tokens))]);
  const distinct = new Set(all.map(({ tokens, tiles, series, set, splits }) => `${[tokens, tiles, series, set, splits]}`));
  expect(new Set(all.map(nameOfTiling)).size).toBe(distinct.size);
});

test('a model is ready with the kernel of one token and the one of most; the others are deferred', () => {
  const deferred = (isSoftware: boolean): number[] => [1, 2, 4, 8].filter((tokens) => isDeferredWidth({ isSoftware }, tokens));
  expect(deferred(false)).toEqual([2, 4]);
  expect(deferred(true)).toEqual([2, 8]);
  for (const need of needs) {
    const widths = defaultTilings(need).map(({ tokens }) => tokens);
    expect(widths.filter((tokens) => !isDeferredWidth(need, tokens)).length).toBe(2);
  }
});
