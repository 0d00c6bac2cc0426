import { expect, test } from 'vitest';
import { ceilingShare } from '../../../src/core/profile.ts';
import type { Op, OpCost, StepShape } from '../../../src/gpu/op.ts';
import type { TimedStep } from '../../../src/gpu/pass-timer.ts';
import { profileOf } from '../../../src/gpu/step-profile.ts';
import { FAKE_LIMITS } from '../../support/fake-profiler.ts';

const adapter = { vendor: '', architecture: '', device: '', description: '', isSoftware: false, features: [] };
const SUBJECT = { adapter, limits: FAKE_LIMITS, phase: 'decode' } as const;

function op(name: string, layer?: number, cost?: (step: StepShape) => OpCost): Op {
  const dispatch = { bindGroup: {} as GPUBindGroup, pipeline: () => ({}) as GPUComputePipeline, grid: () => [1, 1, 1] as const };
  return { name, ...dispatch, ...(layer === undefined ? {} : { layer }), ...(cost && { cost }) };
}

/** A step in which ops, by index, ran from one microsecond to another. */
function timed(spans: readonly (readonly [index: number, from: number, to: number])[], shape: Partial<StepShape> = {}): TimedStep {
  const noNeeds = { biased: 0, penalised: 0, filtered: 0, topK: 0, topP: 0, contextTokens: 0, attendedTokens: 0, singles: 1, tiles: 0 };
  return {
    shape: { tokens: 1, samples: 1, maxContext: 1, ...noNeeds, ...shape },
    dispatched: spans.map(([index]) => index),
    times: BigUint64Array.from(spans.flatMap(([, from, to]) => [BigInt(from * 1000), BigInt(to * 1000)])),
  };
}

const MATMUL_COST = ({ tokens }: StepShape): OpCost => ({ bytes: 1e6, macs: tokens * 2e6 });
const OPS = [op('embed'), op('matmul', 0, MATMUL_COST), op('norm', 0), op('matmul', 1, MATMUL_COST), op('filter')];

test('spans of one kernel add up over layers, and are averaged over steps', () => {
  const profile = profileOf(OPS, [
    timed([[0, 1000, 1100], [1, 1100, 1400], [2, 1400, 1500], [3, 1600, 2100]], { tokens: 1 }),
    timed([[0, 9000, 9300], [1, 9300, 9400], [2, 9400, 9500], [3, 9500, 9700]], { tokens: 3 }),
  ], SUBJECT);
  expect(profile).toMatchObject({ steps: 2, rows: 2, phase: 'decode', lostSpans: 0, resolutionUs: 100 });
  expect(profile.ms).toBeCloseTo(0.85);
  expect(profile.spanMs).toBeCloseTo((1.1 + 0.7) / 2);
  expect(profile.kernels.map(({ name, calls }) => [name, calls])).toEqual([['matmul', 2], ['embed', 1], ['norm', 1]]);
  const [matmul, embed, norm] = profile.kernels;
  expect(matmul?.ms).toBeCloseTo((0.3 + 0.5 + 0.1 + 0.2) / 2);
  expect(embed?.ms).toBeCloseTo(0.2);
  expect(matmul?.share).toBeCloseTo(0.55 / 0.85);
  expect(profile.kernels.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
  // Two matrices a step; 2 tokens on average, 4e6 multiply-adds each.
  expect(matmul).toMatchObject({ bytes: 2e6, macs: 8e6 });
  expect(matmul?.gbps).toBeCloseTo(2e6 / 0.55e-3 / 1e9);
  expect(matmul?.gflops).toBeCloseTo((2 * 8e6) / 0.55e-3 / 1e9);
  expect(matmul?.ofCeiling).toBeCloseTo(2e6 / 0.55e-3 / 1e9 / 100); // memory is nearer
  expect(norm).toMatchObject({ bytes: undefined, gbps: undefined, gflops: undefined, ofCeiling: undefined });
  expect(profile.dispatches.map(({ name, layer }) => [name, layer])).toEqual([
    ['embed', undefined], ['matmul', 0], ['norm', 0], ['matmul', 1],
  ]);
  expect(profile.dispatches.reduce((sum, { ms }) => sum + ms, 0)).toBeCloseTo(profile.ms);
});

test('a span of 0 counts, one that ends before it begins or was not written does not', () => {
  const profile = profileOf([op('a'), op('b')], [
    timed([[0, 500, 500], [1, 500, 600]]),
    timed([[0, 700, 1100], [1, 1100, 900]]),
    timed([[0, 0, 0], [1, 1200, 1300]]),
  ], SUBJECT);
  expect(profile.lostSpans).toBe(2);
  const [a, b] = profile.kernels;
  expect([a?.name, b?.name]).toEqual(['a', 'b']);
  expect(a?.ms).toBeCloseTo(0.2); // of 0 and 0.4; the third is taken for one like them
  expect(b?.ms).toBeCloseTo(0.1);
  expect(a?.calls).toBe(1);
  expect(profile.ms).toBeCloseTo(0.3);
});

test('an op that has work in some steps only is averaged over all', () => {
  const profile = profileOf(OPS, [timed([[0, 100, 200], [4, 200, 500]]), timed([[0, 900, 1000]])], SUBJECT);
  expect(profile.kernels.map(({ name, calls }) => [name, calls])).toEqual([['filter', 0.5], ['embed', 1]]);
  expect(profile.kernels[0]?.ms).toBeCloseTo(0.15);
  expect(profile.kernels[0]?.share).toBeCloseTo(0.6);
});

test('without any time there are shares, and no speeds', () => {
  const profile = profileOf(OPS, [timed([[1, 300, 300]])], SUBJECT);
  expect(profile).toMatchObject({ ms: 0, spanMs: 0, lostSpans: 0 });
  expect(profile.kernels).toEqual([
    { name: 'matmul', calls: 1, ms: 0, share: 0, bytes: 1e6, macs: 2e6, gbps: undefined, gflops: undefined, ofCeiling: undefined },
  ]);
  const lost = profileOf(OPS, [timed([[1, 0, 0]])], SUBJECT);
  expect(lost).toMatchObject({ ms: 0, spanMs: 0, resolutionUs: 0, lostSpans: 1 });
});

test('the nearer ceiling counts, and none that is not known', () => {
  expect(ceilingShare({ gbps: 50, gflops: 100 }, FAKE_LIMITS)).toBe(0.5);
  expect(ceilingShare({ gbps: 5, gflops: 900 }, FAKE_LIMITS)).toBe(0.9);
  expect(ceilingShare({ gbps: 50, gflops: undefined }, FAKE_LIMITS)).toBe(0.5);
  expect(ceilingShare({ gbps: 50, gflops: 100 }, undefined)).toBeUndefined();
  expect(ceilingShare({ gbps: undefined, gflops: undefined }, FAKE_LIMITS)).toBeUndefined();
});
