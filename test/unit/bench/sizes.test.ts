import { expect, test } from 'vitest';
import { sizesFor } from '../../../demo/bench/sizes.ts';

test('a GPU gets the prompts that the bounds speak of, a software adapter shorter ones', () => {
  const [gpu, software] = [sizesFor(false, false), sizesFor(true, false)];
  expect([gpu.stall.promptTokens, gpu.prefix.promptTokens]).toEqual([2000, 1000]);
  expect([software.stall.promptTokens, software.prefix.promptTokens]).toEqual([256, 256]);
  expect(gpu.load.levels).toEqual([1, 2, 4, 8, 16]);
  expect(gpu.profile.decodeSteps).toBeGreaterThan(software.profile.decodeSteps);
  expect(software.load.levels).toEqual([1, 2, 4, 8, 16]);
});

test('a quick run measures the same things, fewer of them', () => {
  expect(sizesFor(true, true).load.levels).toEqual([1, 4]);
  expect(sizesFor(false, true).stall).toMatchObject({ promptTokens: 2000, repeats: 1 });
  expect(sizesFor(false, true).failover.repeats).toBe(1);
});
