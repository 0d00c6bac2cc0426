import { TabserveError } from '../core/errors.ts';
import type { ModelConfig } from '../core/model-config.ts';
import { clip } from '../formats/gguf-cursor.ts';
import { getNumber, getNumbers, getString } from '../formats/gguf-metadata.ts';
import type { GgufValue, ModelFile, TensorInfo } from '../formats/gguf.ts';
import { checkBounds } from './config-bounds.ts';
import { displayName } from './display-name.ts';

/** How one architecture differs from the others, as data. */
interface Architecture {
  /** GGUF's convention for this architecture. Converters permute the rows of `llama`, and no others. */
  readonly ropeStyle: ModelConfig['ropeStyle'];
  /** Whether a file may hold `rope_freqs`. */
  readonly ropeFactors: boolean;
  readonly qkvBias: boolean;
  readonly qkNorm: boolean;
}

const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  llama: { ropeStyle: 'interleaved', ropeFactors: true, qkvBias: false, qkNorm: false },
  qwen2: { ropeStyle: 'half-split', ropeFactors: false, qkvBias: true, qkNorm: false },
  qwen3: { ropeStyle: 'half-split', ropeFactors: false, qkvBias: false, qkNorm: true },
};

/** The largest uniform binding that WebGPU guarantees, 64 KiB, in f32. */
const MAX_BIASES = 16_384;

const tensorsByName = new WeakMap<ModelFile, ReadonlyMap<string, TensorInfo>>();

/** A tensor by name, or undefined. */
export function findTensor(file: ModelFile, name: string): TensorInfo | undefined {
  const known = tensorsByName.get(file) ?? new Map(file.tensors.map((tensor) => [tensor.name, tensor]));
  tensorsByName.set(file, known);
  return known.get(name);
}

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
  const name = getString(metadata, 'general.architecture');
  const architecture = Object.hasOwn(ARCHITECTURES, name) ? ARCHITECTURES[name] : undefined;
  if (architecture === undefined) {
    const known = Object.keys(ARCHITECTURES).join(', ');
    throw unsupported(file, `architecture ${clip(name)} is not supported; ${known} are`);
  }
  const number = (key: string, fallback?: number): number => getNumber(metadata, `${name}.${key}`, fallback);
  const numLayers = number('block_count');
  const ofLayers = (key: string, fallback?: number): number => numberOfLayers(file, `${name}.${key}`, numLayers, fallback);
  const hiddenSize = number('embedding_length');
  const numHeads = ofLayers('attention.head_count');
  const headSize = number('attention.key_length', hiddenSize / numHeads);
  const embedding = requireTensor(file, 'token_embd.weight');
  const config: ModelConfig = {
    architecture: name,
    name: displayName(metadataName(metadata['general.name'], name), file.source.id),
    vocabSize: embedding.shape[0] ?? 0,
    hiddenSize,
    intermediateSize: ofLayers('feed_forward_length'),
    numLayers,
    numHeads,
    numKvHeads: ofLayers('attention.head_count_kv', numHeads),
    headSize,
    ropeDimensions: number('rope.dimension_count', headSize),
    ropeTheta: number('rope.freq_base', 10_000),
    ropeScalingFactor: ropeScalingFactor(file, name),
    ...architecture,
    rmsNormEps: number('attention.layer_norm_rms_epsilon'),
    maxPositionEmbeddings: number('context_length'),
    tiedEmbeddings: findTensor(file, 'output.weight') === undefined,
  };
  checkConfig(file, config);
  checkBounds(file, config);
  return config;
}

/** A model's name is only a hint: where it is not a string, the architecture's name stands in. */
function metadataName(name: GgufValue | undefined, architecture: string): string {
  return typeof name === 'string' ? name : architecture;
}

/** A size that a file gives once for all layers, or as an array with one entry a layer. */
function numberOfLayers(file: ModelFile, key: string, numLayers: number, fallback?: number): number {
  const value = file.metadata[key];
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) return getNumber(file.metadata, key, fallback);
  const sizes = getNumbers(file.metadata, key);
  const [first] = sizes;
  if (first === undefined || sizes.length !== numLayers) {
    const message = `${file.source.id}: metadata '${key}' has ${sizes.length} sizes for ${numLayers} layers.`;
    throw new TabserveError('corrupt_model', message);
  }
  const other = sizes.findIndex((size) => size !== first);
  if (other < 0) return first;
  throw unsupported(file, `layers of different sizes (metadata '${key}': ${first} in layer 0, ${sizes[other]} in layer ${other}) are not supported`);
}

/** The divisor of positions. As in llama.cpp, a factor without a type is linear, and 0 means no scaling. */
function ropeScalingFactor({ metadata, source }: ModelFile, name: string): number {
  const type = getString(metadata, `${name}.rope.scaling.type`, 'linear');
  if (type === 'none') return 1;
  if (type !== 'linear') {
    const message = `${source.id}: RoPE scaling of type ${clip(type)} is not supported; linear and none are, and Llama 3’s (rope_freqs).`;
    throw new TabserveError('unsupported_model', message);
  }
  const legacy = getNumber(metadata, `${name}.rope.scale_linear`, 1);
  const factor = getNumber(metadata, `${name}.rope.scaling.factor`, legacy);
  if (factor === 0) return 1;
  if (factor > 0 && factor < Infinity) return factor;
  throw new TabserveError('corrupt_model', `${source.id}: the RoPE scaling factor is ${factor}, not a positive number.`);
}

function checkConfig(file: ModelFile, config: ModelConfig): void {
  const { architecture, numHeads, numKvHeads, headSize, ropeDimensions, hiddenSize, intermediateSize } = config;
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
  if (config.qkvBias && (numHeads + 2 * numKvHeads) * headSize > MAX_BIASES) {
    throw unsupported(file, `more than ${MAX_BIASES} biases a layer are not supported`);
  }
  if (headSize % 4 !== 0 || ropeDimensions % 2 !== 0 || ropeDimensions > headSize) {
    throw unsupported(file, `heads of ${headSize} elements, ${ropeDimensions} of them rotated, are not supported: heads are multiples of 4, and at most all of them, an even number, is rotated`);
  }
}

function unsupported(file: ModelFile, what: string): TabserveError {
  return new TabserveError('unsupported_model', `${file.source.id}: ${what}.`);
}
