import type { TinyModelOptions } from './tiny-model.ts';

/** llama.cpp's results for a seeded tiny model on the F32 copy of its weights (test/oracle/tiny-goldens.mjs). */
export interface TinyGolden {
  /** Give this to `tinyModel`. */
  readonly model: TinyModelOptions & Required<Pick<TinyModelOptions, 'preset' | 'seed'>>;
  readonly tokens: readonly number[];
  /** [position][vocabulary] */
  readonly logits: readonly Float32Array[];
  /** The greedy continuation of `tokens`. */
  readonly greedyIds: readonly number[];
  /** The smallest lead of a first logit over the second among the greedy steps. */
  readonly minGap: number;
}

/** Inlined by Vite, so that tests in a browser read them too. */
const FILES = import.meta.glob<string>('../goldens/tiny-*.json', { query: '?raw', import: 'default', eager: true });

export function readTinyGoldens(): readonly TinyGolden[] {
  return Object.values(FILES).map((text) => {
    const golden = JSON.parse(text) as TinyGolden & { logits: string };
    const bytes = Uint8Array.from(atob(golden.logits), (character) => character.charCodeAt(0));
    const values = new Float32Array(bytes.buffer);
    const vocabSize = values.length / golden.tokens.length;
    const logits = golden.tokens.map((_, i) => values.subarray(i * vocabSize, (i + 1) * vocabSize));
    return { ...golden, logits };
  });
}
