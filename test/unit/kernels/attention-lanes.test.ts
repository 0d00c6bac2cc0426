import { expect, test } from 'vitest';
import { candidateLanes, defaultLanes, nameOfLanes } from '../../../src/kernels/attention-lanes.ts';

const SHAPES = [[9, 3, 64], [32, 8, 128], [4, 1, 256], [3, 3, 32]] as const;
const HEADS = SHAPES.flatMap((heads) => [true, false].map((isSoftware) => [...heads, isSoftware] as const));

test.each(HEADS)('%i heads over %i of %i, software %s: what is tried runs anywhere, and keeps the rows of a tile', (numHeads, numKvHeads, headSize, isSoftware) => {
  const heads = { numHeads, numKvHeads, headSize };
  const initial = defaultLanes(isSoftware, heads);
  const candidates = candidateLanes(isSoftware, heads);
  expect(candidates.length).toBeGreaterThan(1);
  expect(new Set(candidates.map(nameOfLanes)).size).toBe(candidates.length);
  const widths = candidates.map(({ classLanes, vectorLanes }) => classLanes * vectorLanes);
  expect(widths).toEqual(widths.toSorted((a, b) => b - a)); // most lanes first
  for (const { classLanes, vectorLanes, tileRows, isFlat } of [initial, ...candidates]) {
    const lanes = classLanes * vectorLanes;
    expect(lanes % 4).toBe(0);
    expect(lanes).toBeLessThanOrEqual(256);
    if (!isSoftware) expect(lanes).toBeGreaterThanOrEqual(16);
    expect(tileRows).toBe(initial.tileRows); // the step's tiles are made for all layers alike
    if (isSoftware) expect(classLanes).toBe(1); // no barriers when values are summed
    expect(isFlat).toBe(isSoftware); // one form for all widths
  }
});
