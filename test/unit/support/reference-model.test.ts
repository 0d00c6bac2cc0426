import { describe, expect, it } from 'vitest';
import { readTinyGoldens, type TinyGolden } from '../../support/tiny-goldens.ts';
import { createReferenceModel } from '../../support/reference-model.ts';
import { tinyModelContents } from '../../support/tiny-model.ts';

const goldens = readTinyGoldens();
const title = ({ model }: TinyGolden): string => `${model.preset} ${model.type}`;

describe.each(goldens.map((golden) => [title(golden), golden] as const))('the reference model, %s', (_, golden) => {
  const reference = createReferenceModel(tinyModelContents(golden.model));

  it("gives llama.cpp's logits at every position", () => {
    const logits = reference.logits(golden.tokens);
    logits.forEach((row, position) => {
      const want = golden.logits[position] ?? new Float32Array();
      expect(want).toHaveLength(row.length);
      expect(Math.max(...row.map((value, id) => Math.abs(value - (want[id] ?? NaN))))).toBeLessThan(1e-4);
    });
  });

  it("gives llama.cpp's greedy ids", { timeout: 60_000 }, () => {
    expect(reference.greedy(golden.tokens, golden.greedyIds.length)).toEqual(golden.greedyIds);
  });
});

it('covers every format', () => {
  expect(new Set(goldens.map(({ model }) => model.type))).toEqual(new Set(['Q4_0', 'Q4_1', 'Q8_0', 'mixed', 'F16', 'BF16', 'F32']));
});
