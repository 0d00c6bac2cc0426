import { createTokenizer } from '../../src/tokenizer/tokenizer.ts';
import type { ModelFile } from '../../src/formats/gguf.ts';
import type { LoadedRunner } from '../../src/runner/load-runner.ts';
import text from '../fixtures/moby-dick.txt?raw';
import { logitsOfEveryPosition } from './gpu-runner.ts';
import { argmax } from './sampling-references.ts';
import { answerGoldens } from './smollm2-answers.ts';
import { SMOLLM2_GOLDENS } from './smollm2-goldens.ts';

/** How far one engine's logits are from another's, along the golden answers. */
export interface LogitCosts {
  readonly steps: number;
  readonly mean: number;
  readonly worst: number;
  /** Steps whose first choice is another. */
  readonly flips: number;
}

/** The logits of every step of the golden answers, in order; for `compareLogits` of many engines with one. */
export async function goldenLogits(loaded: LoadedRunner): Promise<readonly Float32Array[]> {
  const rows: Float32Array[] = [];
  for (const { promptTokenIds, greedyIds } of SMOLLM2_GOLDENS.prompts) {
    const tokenIds = [...promptTokenIds, ...greedyIds.slice(0, -1)];
    rows.push(...(await logitsOfEveryPosition(loaded, tokenIds, promptTokenIds.length - 1)));
  }
  return rows;
}

export function compareLogits(exact: readonly Float32Array[], others: readonly Float32Array[]): LogitCosts {
  let [worst, sum, count, flips] = [0, 0, 0, 0];
  for (const [i, row] of exact.entries()) {
    const other = others[i] ?? new Float32Array();
    for (const [id, logit] of row.entries()) {
      const difference = Math.abs(logit - (other[id] ?? NaN));
      worst = Number.isNaN(difference) ? NaN : Math.max(worst, difference);
      sum += difference;
    }
    count += row.length;
    if (argmax(row) !== argmax(other)) flips++;
  }
  return { steps: exact.length, mean: sum / count, worst, flips };
}

/** The tokens of a fixed text, a paragraph and a half of Moby-Dick. */
export function textTokens(file: ModelFile): readonly number[] {
  return createTokenizer(file.metadata).encode(text);
}

/** exp of the mean of -log p of each token of the fixed text but the first. */
export async function perplexity(file: ModelFile, loaded: LoadedRunner): Promise<{ tokens: number; perplexity: number }> {
  const tokenIds = textTokens(file);
  const logits = await logitsOfEveryPosition(loaded, tokenIds.slice(0, -1));
  return { tokens: tokenIds.length, perplexity: perplexityOf(tokenIds, logits) };
}

/** exp of the mean of -log p of each token but the first, by the logits after the one before it. */
export function perplexityOf(tokenIds: readonly number[], logits: readonly Float32Array[]): number {
  let sum = 0;
  for (const [i, row] of logits.entries()) {
    const highest = row[argmax(row)] ?? NaN;
    const total = row.reduce((all, logit) => all + Math.exp(logit - highest), 0);
    sum -= (row[tokenIds[i + 1] ?? NaN] ?? NaN) - highest - Math.log(total);
  }
  return Math.exp(sum / logits.length);
}

/** How many golden answers it gives, token by token, decoding greedily. */
export async function goldenAnswers(file: ModelFile, loaded: LoadedRunner): Promise<number> {
  const answers = await answerGoldens(file, loaded);
  return SMOLLM2_GOLDENS.prompts.filter(({ name, greedyIds }) => {
    const ids = answers.get(name) ?? [];
    return ids.length === greedyIds.length && greedyIds.every((id, i) => id === ids[i]);
  }).length;
}
