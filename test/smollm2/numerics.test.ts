import { afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Numerics } from '../../src/core/numerics.ts';
import type { ModelFile } from '../../src/formats/gguf.ts';
import { type LoadedRunner, loadRunner } from '../../src/runner/load-runner.ts';
import { compileDeferred } from '../support/deferred-kernels.ts';
import { compareLogits, goldenAnswers, goldenLogits, perplexity } from '../support/logit-costs.ts';
import { openSmolLm2 } from '../support/smollm2-answers.ts';
import { SMOLLM2_GOLDENS } from '../support/smollm2-goldens.ts';

// What each class of numerics costs SmolLM2-135M-Instruct: `npm run test:smollm2`, and in Node, for f16 too,
// `npm run test:smollm2 -- --dawn=lavapipe test/smollm2/numerics.test.ts`. The figures are in shaders/README.md.

const model = inject('defaultModel');
const MINUTES = 60_000;

/** Above what was measured; f32 is what the others are measured by. */
const LIMITS = {
  dp4a: { mean: 0.3, worst: 3, flips: 0.05, perplexity: 0.02 },
  f16: { mean: 0.03, worst: 0.4, flips: 0.01, perplexity: 0.002 },
} as const;

describe.skipIf('reason' in model)('SmolLM2-135M-Instruct', () => {
  let file: ModelFile;
  let exact: readonly Float32Array[];
  let exactPerplexity: number;
  let loaded: LoadedRunner | undefined;
  afterEach(() => loaded?.destroy());

  /** Loads a class, or says why this adapter has none. */
  async function open(numerics: Numerics): Promise<LoadedRunner | string> {
    try {
      loaded = await loadRunner({ file, numerics, maxModelLen: 1024 });
      await compileDeferred(loaded);
      return loaded;
    } catch (error) {
      if (String(error).includes('numerics is')) return String(error);
      throw error;
    }
  }

  async function row(numerics: Numerics, runner: LoadedRunner) {
    const logits = await goldenLogits(runner);
    const text = await perplexity(file, runner);
    const answers = await goldenAnswers(file, runner);
    const costs = compareLogits(exact ?? logits, logits);
    const { description, vendor } = runner.adapter;
    console.log(`${numerics} on ${vendor} ${description}: ${JSON.stringify({ ...costs, ...text, answers })}`);
    return { logits, costs, perplexity: text.perplexity };
  }

  beforeAll(async () => {
    if ('reason' in model) return;
    file = await openSmolLm2(model.url);
    const runner = await loadRunner({ file, maxModelLen: 1024 });
    await compileDeferred(runner);
    ({ logits: exact, perplexity: exactPerplexity } = await row('f32', runner));
    runner.destroy();
  }, 60 * MINUTES);

  test.for(['dp4a', 'f16'] as const)('%s', { timeout: 60 * MINUTES }, async (numerics, { skip }) => {
    const runner = await open(numerics);
    if (typeof runner === 'string') return skip(runner);
    const { costs, perplexity: other } = await row(numerics, runner);
    const limits = LIMITS[numerics];
    expect(costs.steps).toBe(SMOLLM2_GOLDENS.prompts.reduce((total, { greedyIds }) => total + greedyIds.length, 0));
    expect(costs.mean).toBeLessThan(limits.mean);
    expect(costs.mean).toBeGreaterThan(0); // it is another class
    expect(costs.worst).toBeLessThan(limits.worst);
    expect(costs.flips).toBeLessThan(limits.flips * costs.steps);
    expect(Math.abs(other / exactPerplexity - 1)).toBeLessThan(limits.perplexity);
  });
});

if ('reason' in model) test('SmolLM2-135M-Instruct', ({ skip }) => skip(model.reason));
