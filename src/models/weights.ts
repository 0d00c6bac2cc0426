import { TabserveError } from '../core/errors.ts';
import type { ModelConfig } from '../core/model-config.ts';
import type { Numerics } from '../core/numerics.ts';
import type { BufferPool } from '../gpu/buffers.ts';
import type { PackedMatrix } from '../kernels/matmul.ts';
import type { ModelFile, TensorInfo } from '../loader/gguf.ts';
import { GROUP_SIZE, packedFormatOf, packedWords, scaleWords, TILE_LANES, TILE_ROWS } from '../loader/repack.ts';
import { requireTensor } from './architectures.ts';

/** A matrix whose outputs land at `outputOffset` of a wider row: a part of a fused projection. */
export interface PlacedMatrix {
  readonly matrix: PackedMatrix;
  readonly outputOffset: number;
}

/** One decoder layer. A projection is one matrix where its tensors could be packed together, else several. */
export interface LayerWeights {
  readonly attentionNorm: GPUBuffer; // [hiddenSize]
  readonly qkv: readonly PlacedMatrix[]; // [(numHeads + 2 numKvHeads) * headSize][hiddenSize]
  readonly attentionOutput: PackedMatrix; // [hiddenSize][numHeads * headSize]
  readonly ffnNorm: GPUBuffer; // [hiddenSize]
  readonly gateUp: readonly PlacedMatrix[]; // [2 * intermediateSize][hiddenSize]
  readonly down: PackedMatrix; // [hiddenSize][intermediateSize]
}

export interface ModelWeights {
  readonly embedding: PackedMatrix; // [vocabSize][hiddenSize]
  readonly layers: readonly LayerWeights[];
  readonly outputNorm: GPUBuffer; // [hiddenSize]
  readonly head: PackedMatrix; // [vocabSize][hiddenSize]; the embedding itself where they are tied
}

/** Where a tensor's bytes go. */
export type Destination =
  | { readonly kind: 'matrix'; readonly matrix: PackedMatrix; readonly rowOffset: number }
  | { readonly kind: 'vector'; readonly buffer: GPUBuffer };

/** What the adapter, and the numerics asked for, decide of how matrices are held and summed. */
export interface MatrixLayout {
  readonly numerics: Numerics;
  /** See {@link PackedMatrix}. */
  readonly wideScales: boolean;
  /** The most slices that k is summed in, so that sets of lanes can share it out. */
  readonly maxSlices: number;
}

/** The weights' buffers, still empty, and what fills them. */
export interface WeightsPlan {
  readonly weights: ModelWeights;
  readonly destinations: ReadonlyMap<string, Destination>;
}

/**
 * Creates the buffers of every weight and says which tensor goes where. Nothing is read yet.
 *
 * @throws TabserveError `unsupported_tensor` for a type or shape that no kernel reads, and for tensors that the decoder
 *   would not use; `corrupt_model` for missing tensors or shapes that contradict the metadata.
 */
export function planWeights(
  file: ModelFile,
  config: ModelConfig,
  buffers: BufferPool,
  layout: MatrixLayout,
): WeightsPlan {
  const planner = new Planner(file, buffers, layout);
  const { hiddenSize, intermediateSize, numHeads, numKvHeads, headSize, vocabSize } = config;
  const heads = numHeads * headSize;
  const kvHeads = numKvHeads * headSize;
  const layers = Array.from({ length: config.numLayers }, (_, i): LayerWeights => {
    const name = (suffix: string): string => `blk.${i}.${suffix}.weight`;
    const qkv = [
      planner.tensor(name('attn_q'), heads, hiddenSize),
      planner.tensor(name('attn_k'), kvHeads, hiddenSize),
      planner.tensor(name('attn_v'), kvHeads, hiddenSize),
    ];
    const gateUp = ['ffn_gate', 'ffn_up'].map((part) => planner.tensor(name(part), intermediateSize, hiddenSize));
    return {
      attentionNorm: planner.vector(name('attn_norm'), hiddenSize),
      qkv: planner.fuse(qkv),
      attentionOutput: planner.matrix([planner.tensor(name('attn_output'), hiddenSize, heads)]),
      ffnNorm: planner.vector(name('ffn_norm'), hiddenSize),
      gateUp: planner.fuse(gateUp),
      down: planner.matrix([planner.tensor(name('ffn_down'), hiddenSize, intermediateSize)]),
    };
  });
  const embedding = planner.matrix([planner.tensor('token_embd.weight', vocabSize, hiddenSize)]);
  const head = config.tiedEmbeddings
    ? embedding
    : planner.matrix([planner.tensor('output.weight', vocabSize, hiddenSize)]);
  const outputNorm = planner.vector('output_norm.weight', hiddenSize);
  planner.refuseOthers();
  return { weights: { embedding, layers, outputNorm, head }, destinations: planner.destinations };
}

class Planner {
  readonly destinations = new Map<string, Destination>();
  readonly #file: ModelFile;
  readonly #buffers: BufferPool;
  readonly #layout: MatrixLayout;

  constructor(file: ModelFile, buffers: BufferPool, layout: MatrixLayout) {
    this.#file = file;
    this.#buffers = buffers;
    this.#layout = layout;
  }

  /** A quantised matrix of exactly this shape. */
  tensor(name: string, rows: number, columns: number): TensorInfo {
    const tensor = requireTensor(this.#file, name);
    this.#checkShape(tensor, [rows, columns]);
    if (packedFormatOf(tensor.type) === undefined) {
      throw new TabserveError(
        'unsupported_tensor',
        `${this.#file.source.id}: tensor ${name} is of type ${tensor.type}; matrices may be Q4_0, Q4_1 or Q8_0 so far.`,
      );
    }
    if (rows % 4 !== 0) {
      throw new TabserveError('unsupported_tensor', `${this.#file.source.id}: ${name} has ${rows} rows, not a multiple of 4.`);
    }
    return tensor;
  }

  /** A float vector's buffer. */
  vector(name: string, length: number): GPUBuffer {
    const tensor = requireTensor(this.#file, name);
    this.#checkShape(tensor, [length]);
    if (tensor.type !== 'F32') {
      throw new TabserveError(
        'unsupported_tensor',
        `${this.#file.source.id}: tensor ${name} is of type ${tensor.type}; vectors must be F32.`,
      );
    }
    const buffer = this.#buffers.create(name, length * 4);
    this.destinations.set(name, { kind: 'vector', buffer });
    return buffer;
  }

  /** The tensors' rows, one below the other, as few matrices as their formats and tile boundaries allow. */
  fuse(tensors: readonly TensorInfo[]): PlacedMatrix[] {
    const runs: TensorInfo[][] = [];
    for (const tensor of tensors) {
      const run = runs.at(-1);
      const last = run?.at(-1);
      const fits = last !== undefined && rowsOf(last) % TILE_ROWS === 0;
      if (run !== undefined && fits && packedFormatOf(last.type) === packedFormatOf(tensor.type)) run.push(tensor);
      else runs.push([tensor]);
    }
    let outputOffset = 0;
    return runs.map((run) => {
      const placed = { matrix: this.matrix(run), outputOffset };
      outputOffset += placed.matrix.rows;
      return placed;
    });
  }

  /** One matrix of the tensors' rows; all but the last have whole tiles, all have one format. */
  matrix(tensors: readonly TensorInfo[]): PackedMatrix {
    const rows = tensors.reduce((sum, tensor) => sum + rowsOf(tensor), 0);
    const columns = tensors[0]?.shape[1] ?? 0;
    const format = packedFormatOf(tensors[0]?.type ?? '') ?? 'int8';
    const name = tensors.map((tensor) => tensor.name).join(' + ');
    const weights = this.#buffers.create(name, packedWords(format, rows, columns) * 4);
    const { numerics } = this.#layout;
    const wideScales = format === 'int4' && this.#layout.wideScales;
    const sliceGroups = Math.ceil(columns / GROUP_SIZE / this.#layout.maxSlices);
    const scales = this.#buffers.create(`scales of ${name}`, scaleWords(rows, columns) * (wideScales ? 8 : 4));
    const shape = { format, numerics, wideScales, rows, columns, lanes: TILE_LANES, sliceGroups };
    const matrix: PackedMatrix = { ...shape, weights, scales };
    let rowOffset = 0;
    for (const tensor of tensors) {
      this.destinations.set(tensor.name, { kind: 'matrix', matrix, rowOffset });
      rowOffset += rowsOf(tensor);
    }
    return matrix;
  }

  /** A tensor that would be left out changes what the model computes: refuse rather than talk nonsense fluently. */
  refuseOthers(): void {
    const other = this.#file.tensors.find((tensor) => !this.destinations.has(tensor.name));
    if (other === undefined) return;
    throw new TabserveError(
      'unsupported_tensor',
      `${this.#file.source.id}: tensor ${other.name} (${other.type}) is not part of a plain llama decoder; this ` +
        'variation of the architecture is not supported yet.',
    );
  }

  #checkShape(tensor: TensorInfo, shape: readonly number[]): void {
    if (tensor.shape.length === shape.length && tensor.shape.every((size, i) => size === shape[i])) return;
    throw new TabserveError(
      'corrupt_model',
      `${this.#file.source.id}: tensor ${tensor.name} has shape [${tensor.shape}], but the metadata says [${shape}].`,
    );
  }
}

function rowsOf(tensor: TensorInfo): number {
  return tensor.shape[0] ?? 0;
}
