import { TabserveError } from '../core/errors.ts';
import type { ModelConfig } from '../core/model-config.ts';
import { checkBounds, MAX_NAME } from './config-bounds.ts';
import { clip } from '../loader/gguf-cursor.ts';
import { getNumber, getString } from '../loader/gguf-metadata.ts';
import type { ModelFile, TensorInfo } from '../loader/gguf.ts';

/** What sets one architecture apart from the others, as data. */
interface Architecture {
  /** GGUF's convention for this architecture: converters permute `llama`'s rows, and no others. */
  readonly ropeStyle: ModelConfig['ropeStyle'];
}

const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  llama: { ropeStyle: 'interleaved' },
};

/** A tensor by name, or undefined. */
export function findTensor(file: ModelFile, name: string): TensorInfo | undefined {
  const known = tensorsByName.get(file) ?? new Map(file.tensors.map((tensor) => [tensor.name, tensor]));
  tensorsByName.set(file, known);
  return known.get(name);
}

const tensorsByName = new WeakMap<ModelFile, ReadonlyMap<string, TensorInfo>>();

/** A tensor by name. @throws TabserveError `corrupt_model` naming it where the file lacks it. */
export function requireTensor(file: ModelFile, name: string): TensorInfo {
  const tensor = findTensor(file, name);
  if (tensor === undefined) throw new TabserveError('corrupt_model', `${file.source.id} lacks the tensor ${name}.`);
  return tensor;
}

/**
 * The shape of the model in a GGUF file.
 *
 * @throws TabserveError `unsupported_model` for another architecture or a variation that the decoder does not compute;
 *   `corrupt_model` for metadata that contradicts itself.
 */
export function readModelConfig(file: ModelFile): ModelConfig {
  const { metadata } = file;
  const name = clip(getString(metadata, 'general.architecture'));
  const architecture = Object.hasOwn(ARCHITECTURES, name) ? ARCHITECTURES[name] : undefined;
  if (architecture === undefined) {
    const known = Object.keys(ARCHITECTURES).join(', ');
    throw unsupported(file, `architecture ${name} is not supported yet; supported: ${known}`);
  }
  const number = (key: string, fallback?: number): number => getNumber(metadata, `${name}.${key}`, fallback);
  const hiddenSize = number('embedding_length');
  const numHeads = number('attention.head_count');
  const headSize = number('attention.key_length', hiddenSize / numHeads);
  const embedding = requireTensor(file, 'token_embd.weight');
  const config: ModelConfig = {
    architecture: name,
    name: getString(metadata, 'general.name', name).slice(0, MAX_NAME),
    vocabSize: embedding.shape[0] ?? 0,
    hiddenSize,
    intermediateSize: number('feed_forward_length'),
    numLayers: number('block_count'),
    numHeads,
    numKvHeads: number('attention.head_count_kv', numHeads),
    headSize,
    ropeDimensions: number('rope.dimension_count', headSize),
    ropeTheta: number('rope.freq_base', 10_000),
    ropeStyle: architecture.ropeStyle,
    rmsNormEps: number('attention.layer_norm_rms_epsilon'),
    maxPositionEmbeddings: number('context_length'),
    tiedEmbeddings: findTensor(file, 'output.weight') === undefined,
  };
  checkConfig(file, config);
  checkBounds(file, config);
  return config;
}

function checkConfig(file: ModelFile, config: ModelConfig): void {
  const { architecture, numHeads, numKvHeads, headSize, ropeDimensions, hiddenSize, intermediateSize } = config;
  const scaling = getString(file.metadata, `${architecture}.rope.scaling.type`, 'none');
  if (scaling !== 'none') throw unsupported(file, `RoPE scaling of type ${scaling} is not supported yet`);
  if (getNumber(file.metadata, `${architecture}.expert_count`, 0) > 0) {
    throw unsupported(file, 'mixture-of-experts models are not supported yet');
  }
  if (getNumber(file.metadata, `${architecture}.attention.value_length`, headSize) !== headSize) {
    throw unsupported(file, 'values of another size than keys are not supported');
  }
  const sizes = { hiddenSize, intermediateSize, headSize, ropeDimensions, numHeads, numKvHeads };
  for (const [key, value] of Object.entries({ ...sizes, numLayers: config.numLayers, vocabSize: config.vocabSize })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new TabserveError('corrupt_model', `${file.source.id}: ${key} is ${value}, not a positive whole number.`);
    }
  }
  if (numHeads % numKvHeads !== 0) {
    throw new TabserveError('corrupt_model', `${file.source.id}: ${numHeads} heads do not share ${numKvHeads} KV heads evenly.`);
  }
  if (headSize % 4 !== 0 || ropeDimensions % 2 !== 0 || ropeDimensions > headSize) {
    throw unsupported(file, `heads of ${headSize} with ${ropeDimensions} rotated elements are not supported`);
  }
}

function unsupported(file: ModelFile, what: string): TabserveError {
  return new TabserveError('unsupported_model', `${file.source.id}: ${what}.`);
}
