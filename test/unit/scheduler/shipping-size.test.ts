import { describe, expect, test } from 'vitest';
import type { SchedulerConfig } from '../../../src/core/scheduler-output.ts';
import { makeRequest } from './requests.ts';
import { Simulation } from './simulation.ts';

/** SmolLM2-135M with a KV cache of 256 MiB in f32 (46,080 bytes a token). */
const CONFIG: SchedulerConfig = {
  blockSize: 16,
  numBlocks: 364,
  maxNumBatchedTokens: 256,
  maxNumSeqs: 8,
  maxModelLen: 2048,
  maxStepsPerPlan: 8,
};

describe('at the size that ships', () => {
  test('a prompt of 2,000 tokens comes in chunks, and meanwhile every other stream gets a token at each step', () => {
    const sim = new Simulation(CONFIG);
    const streams = ['a', 'b', 'c'];
    for (const [seed, id] of streams.entries()) sim.add(makeRequest(id, 37, { maxTokens: 100, seed }));
    for (let i = 0; i < 4; i++) sim.step();
    sim.add(makeRequest('long', 2000, { maxTokens: 40 }));
    const numChunks = Math.ceil(2000 / (CONFIG.maxNumBatchedTokens - streams.length));
    for (let i = 1; i <= numChunks; i++) {
      const outputs = sim.step()?.outputs ?? [];
      const expected = i < numChunks ? streams : [...streams, 'long'];
      expect(outputs.map(({ requestId, newTokenIds }) => [requestId, newTokenIds.length])).toEqual(
        expected.map((id) => [id, 1]),
      );
    }
    sim.drain();
    sim.checkAnswers();
  });

  test('more than the KV cache holds at once: all end as they do alone', () => {
    const sim = new Simulation(CONFIG);
    for (let i = 0; i < 12; i++) sim.add(makeRequest(`r${i}`, 40 + 160 * (i % 8), { maxTokens: 300, seed: i }));
    sim.drain();
    sim.checkAnswers();
    expect(sim.scheduler.stats()).toMatchObject({ generationTokens: 3600 });
    expect(sim.scheduler.stats().preemptions).toBeGreaterThan(0);
  });
});
