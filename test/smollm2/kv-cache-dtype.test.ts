import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { ModelFile } from '../../src/formats/gguf.ts';
import { type LoadedRunner, loadRunner } from '../../src/runner/load-runner.ts';
import { compileDeferred } from '../support/deferred-kernels.ts';
import { logitsOfEveryPosition } from '../support/gpu-runner.ts';
import { argmax } from '../support/sampling-references.ts';
import { answerGoldens, openSmolLm2 } from '../support/smollm2-answers.ts';
import { SMOLLM2_GOLDENS } from '../support/smollm2-goldens.ts';

// What a KV cache in f16 or INT8 costs SmolLM2-135M-Instruct: `npm run test:smollm2`. The figures are in shaders/README.md.

const model = inject('defaultModel');
const { prompts } = SMOLLM2_GOLDENS;
const MINUTES = 60_000;

describe.skipIf('reason' in model).each([
  { kvCacheDtype: 'f16', worstLogit: 0.1, meanLogit: 0.01, flipped: 0.005 },
  { kvCacheDtype: 'int8', worstLogit: 2, meanLogit: 0.2, flipped: 0.04 },
] as const)('SmolLM2-135M-Instruct with $kvCacheDtype KV', ({ kvCacheDtype, worstLogit, meanLogit, flipped }) => {
  let file: ModelFile;
  let loaded: LoadedRunner;
  beforeAll(async () => {
    if ('reason' in model) return;
    file = await openSmolLm2(model.url);
    loaded = await loadRunner({ file, maxModelLen: 1024, kvCacheDtype });
    await compileDeferred(loaded);
  }, 5 * MINUTES);
  afterAll(() => loaded?.destroy());

  test('the greedy answers', async () => {
    const answers = await answerGoldens(file, loaded);
    // An answer parts only where the next token was nearly another.
    let changed = 0;
    for (const { name, greedyIds, gaps } of prompts) {
      const ids = answers.get(name) ?? [];
      expect(ids.length).toBeGreaterThan(0);
      const parted = greedyIds.findIndex((id, i) => id !== ids[i]);
      if (parted === -1) continue;
      changed++;
      expect(gaps[parted], `${name}, step ${parted}`).toBeLessThan(0.5);
      console.log(`${name}: parts at step ${parted}, where the first logit leads the second by ${gaps[parted]}`);
    }
    console.log(`${changed} of ${prompts.length} answers change`);
  }, 30 * MINUTES);

  test('the logits along the golden answers', async () => {
    const exact = await loadRunner({ file, maxModelLen: 1024 });
    await compileDeferred(exact);
    let [worst, sum, count, flips, steps] = [0, 0, 0, 0, 0];
    for (const { name, promptTokenIds, greedyIds } of prompts) {
      const tokenIds = [...promptTokenIds, ...greedyIds.slice(0, -1)];
      const from = promptTokenIds.length - 1;
      const rows = await logitsOfEveryPosition(exact, tokenIds, from);
      const others = await logitsOfEveryPosition(loaded, tokenIds, from);
      let worstHere = 0;
      for (const [i, row] of rows.entries()) {
        for (const [id, logit] of row.entries()) {
          const difference = Math.abs(logit - (others[i]?.[id] ?? NaN));
          worstHere = Math.max(worstHere, difference);
          sum += difference;
        }
        count += row.length;
        steps++;
        if (argmax(row) !== argmax(others[i] ?? new Float32Array())) flips++;
      }
      console.log(`${name}: greatest difference ${worstHere}`);
      worst = Math.max(worst, worstHere);
    }
    exact.destroy();
    console.log(`${steps} steps: greatest difference ${worst}, mean ${sum / count}; the first choice changes at ${flips}`);
    expect(steps).toBe(prompts.reduce((total, { greedyIds }) => total + greedyIds.length, 0));
    expect(worst).toBeLessThan(worstLogit);
    expect(sum / count).toBeLessThan(meanLogit);
    expect(flips).toBeLessThanOrEqual(flipped * steps);
  }, 60 * MINUTES);
});

if ('reason' in model) test('SmolLM2-135M-Instruct with a smaller KV cache', ({ skip }) => skip(model.reason));
