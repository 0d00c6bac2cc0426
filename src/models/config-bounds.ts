import { TabserveError } from '../core/errors.ts';
import type { ModelConfig } from '../core/model-config.ts';
import type { ModelFile } from '../formats/gguf.ts';

/** Far above any known model, and small enough that every size computed from such numbers is an exact integer. */
const MAX_SIZE = 2 ** 24;
/** Known heads have 512 elements at most. */
const MAX_HEAD_SIZE = 4096;

/**
 * Checks a file's hyper-parameters against the file itself. The file is untrusted, and these numbers become allocations,
 * loop bounds and divisors.
 *
 * @throws TabserveError `corrupt_model` for absurd sizes, layers without tensors, numbers that are not finite, and a
 *   tokenizer with ids for which the embedding has no rows
 */
export function checkBounds({ metadata, tensors, source }: ModelFile, config: ModelConfig): void {
  const corrupt = (what: string): TabserveError => new TabserveError('corrupt_model', `${source.id}: ${what}.`);
  const { hiddenSize, intermediateSize, numHeads, headSize, vocabSize, maxPositionEmbeddings } = config;
  const heads = numHeads * headSize;
  const sizes = { hiddenSize, intermediateSize, heads, vocabSize, maxPositionEmbeddings };
  for (const [name, size] of Object.entries(sizes)) {
    if (!Number.isSafeInteger(size) || size < 1 || size > MAX_SIZE) throw corrupt(`${name} is ${size}, not from 1 to ${MAX_SIZE}`);
  }
  if (headSize > MAX_HEAD_SIZE) throw corrupt(`headSize is ${headSize}, over ${MAX_HEAD_SIZE}`);
  for (const [name, value] of Object.entries({ ropeTheta: config.ropeTheta, rmsNormEps: config.rmsNormEps })) {
    if (!(value > 0 && value < Infinity)) throw corrupt(`${name} is ${value}, not a positive number`);
  }
  if (config.numLayers > tensors.length) throw corrupt(`it has ${config.numLayers} layers, but only ${tensors.length} tensors`);
  const tokens = metadata['tokenizer.ggml.tokens'];
  if (Array.isArray(tokens) && tokens.length > vocabSize) {
    throw corrupt(`its tokenizer has ${tokens.length} tokens, but its embedding only ${vocabSize} rows`);
  }
}
