import { describe, expect, test } from 'vitest';
import type { RequestOutput } from '../../../src/core/request.ts';
import type { SchedulerOutput } from '../../../src/core/scheduler-output.ts';
import { ThroughputMeter } from '../../../src/engine/throughput-meter.ts';

/** A plan by what each request feeds and whether it samples. */
function plan(...requests: readonly (readonly [number, boolean])[]): SchedulerOutput {
  return {
    numSteps: 1,
    requests: requests.map(([numTokens, samples], i) => ({
      requestId: `r${i}`,
      slot: i,
      tokenIds: Array<number>(numTokens).fill(0),
      startPosition: 0,
      blockTable: [],
      samples,
      sampling: { temperature: 0, seed: 0, choice: 0 },
    })),
    totalNumScheduledTokens: requests.reduce((sum, [numTokens]) => sum + numTokens, 0),
  };
}

function outputs(...numTokens: readonly number[]): RequestOutput[] {
  return numTokens.map((count, i) => ({
    requestId: `r${i}`,
    newTokenIds: Array<number>(count).fill(0),
    finishReason: undefined,
    firstScheduledTime: 0,
    numCachedTokens: 0,
  }));
}

describe('ThroughputMeter', () => {
  test('knows nothing at first', () => {
    const { prefillTokensPerSecond, decodeTokensPerSecond } = new ThroughputMeter(1000);
    expect([prefillTokensPerSecond, decodeTokensPerSecond]).toEqual([0, 0]);
  });

  test('counts fed tokens of prefill steps and given tokens of decode steps, over the whole batch', () => {
    const meter = new ThroughputMeter(1000);
    meter.record(plan([30, true], [18, false], [1, false]), outputs(1), 0, 100);
    expect(meter.prefillTokensPerSecond).toBe(490);
    expect(meter.decodeTokensPerSecond).toBe(0);
    meter.record(plan([1, true], [1, true]), outputs(4, 2), 100, 150);
    meter.record(plan([1, true], [1, true]), outputs(4, 4), 150, 240);
    expect(meter.prefillTokensPerSecond).toBe(490);
    expect(meter.decodeTokensPerSecond).toBe(100);
  });

  test('takes nothing from a step that mixes both', () => {
    const meter = new ThroughputMeter(1000);
    meter.record(plan([1, true], [15, false]), outputs(1), 0, 100);
    expect([meter.prefillTokensPerSecond, meter.decodeTokensPerSecond]).toEqual([0, 0]);
  });

  test('forgets steps that began before the window, but never the last one of a kind', () => {
    const meter = new ThroughputMeter(1000);
    meter.record(plan([1, true]), outputs(1), 0, 100);
    meter.record(plan([1, true]), outputs(9), 450, 550);
    expect(meter.decodeTokensPerSecond).toBe(50);
    meter.record(plan([1, true]), outputs(3), 1400, 1500);
    expect(meter.decodeTokensPerSecond).toBe(30);
    meter.record(plan([100, false]), [], 90_000, 95_000);
    expect(meter.prefillTokensPerSecond).toBe(20);
    meter.record(plan([100, false]), [], 95_000, 97_500);
    expect(meter.prefillTokensPerSecond).toBe(40);
    expect(meter.decodeTokensPerSecond).toBe(30);
  });

  test('a step that took no time by the clock tells no speed', () => {
    const meter = new ThroughputMeter(1000);
    meter.record(plan([1, true]), outputs(1), 5, 5);
    expect(meter.decodeTokensPerSecond).toBe(0);
  });
});
