import { TabserveError } from '../core/errors.ts';
import type { ModelConfig } from '../core/model-config.ts';
import type { ModelFile } from '../formats/gguf.ts';

/** Far more than any model has, and few enough that no size computed from them loses a digit. */
const MAX_SIZE = 2 ** 24;
/** Known heads have 512 elements at most. */
const MAX_HEAD_SIZE = 4096;

/**
 * Holds a file's hyper-parameters against the file itself: it is untrusted, and whatever they say is allocated, looped
 * over or divided by.
 *
 * @throws TabserveError `corrupt_model` for sizes that are absurd, layers that the file has no tensors for, numbers that
 *   are none, and a tokenizer whose ids the embedding has no rows for
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
