/** All that the bench knows of how kernels are made: what to adapt where their constructors change. */
import type { KvCacheDtype } from '../../../src/core/kv-cache-dtype.ts';
import type { ModelConfig } from '../../../src/core/model-config.ts';
import type { Numerics } from '../../../src/core/numerics.ts';
import type { Gpu } from '../../../src/gpu/device.ts';
import type { Op, OpBuilder, StepShape } from '../../../src/gpu/op.ts';
import { numPartialsAt } from '../../../src/core/partials.ts';
import { attention, partialsBytes } from '../../../src/kernels/attention.ts';
import { matmul } from '../../../src/kernels/matmul-store.ts';
import { type PackedMatrix, packingOf } from '../../../src/kernels/matmul.ts';
import { quantisedBytes } from '../../../src/kernels/quantise.ts';
import { layerBlockBytes, queriesBytes } from '../../../src/kernels/rope-kv-write.ts';
import { ATTENTION_SPLIT, attentionWords, ROW_BYTES } from '../../../src/kernels/step-inputs.ts';
import { GROUP_SIZE, TILE_LANES } from '../../../src/quant/packed-layout.ts';
import { packedFormatOf, repackRows, widenScales } from '../../../src/quant/repack.ts';
import { kernelSizes, matrixLayout } from '../../../src/runner/load-runner.ts';
import { type MatrixType, randomMatrix } from '../../support/kernel-matrix.ts';
import { createRandom } from '../../support/random.ts';

export type Heads = Pick<ModelConfig, 'numHeads' | 'numKvHeads' | 'headSize'>;

/** A matrix of random weights, and the number type of its products. */
export interface MatrixShape {
  readonly type: MatrixType;
  readonly rows: number;
  readonly columns: number;
  /** @default f32 */
  readonly numerics?: Numerics;
}

/** Rows of decode, each over its own context. */
export interface AttentionScene {
  readonly heads: Heads;
  readonly sequences: number;
  readonly context: number;
  /** @default f32 */
  readonly kvCacheDtype?: KvCacheDtype;
}

/** Where no attention is asked about. */
const NO_HEADS: Heads = { numHeads: 1, numKvHeads: 1, headSize: 64 };

/** Makes ops as the decoder makes them for this adapter, on buffers of their own. */
export class KernelOps {
  readonly #gpu: Gpu;
  readonly #builder: OpBuilder;
  readonly #buffers: GPUBuffer[] = [];

  constructor(gpu: Gpu, builder: OpBuilder) {
    this.#gpu = gpu;
    this.#builder = builder;
  }

  /**
   * Matmuls of one shape, each with weights of its own, for up to `maxTokens` rows of activations. `setTokens` says how
   * many there are. `weightBytes`: of one matrix, scales included.
   */
  matmuls({ type, rows, columns, numerics = 'f32' }: MatrixShape, maxTokens: number, workingSetBytes: number) {
    const first = this.#matrix(type, rows, columns, numerics);
    const weightBytes = first.weights.size + first.scales.size;
    const copies = Math.min(512, Math.ceil(workingSetBytes / weightBytes));
    const matrices = Array.from({ length: copies }, (_, i) => (i === 0 ? first : this.#copyOf(first)));
    const room = Math.ceil(maxTokens / 8) * 8;
    const x = this.#filled(numerics === 'f32' ? room * columns : quantisedBytes(numerics, columns, room) / 4);
    const y = this.#buffer(room * rows * 4);
    const counts = this.#uniform();
    const sizes = kernelSizes(this.#gpu.adapter, NO_HEADS);
    const { tilings } = sizes.tilings(first, false);
    const ops = matrices.map((matrix) =>
      matmul(this.#builder, {
        matrix,
        x,
        y,
        counts,
        tokens: (step) => step.tokens,
        subgroups: this.#gpu.hasSubgroups,
        tilings,
        unrolled: sizes.unrolled,
      }),
    );
    const setTokens = (tokens: number): void => this.#gpu.device.queue.writeBuffer(counts, 0, new Uint32Array([tokens]));
    return { ops: ops.map((op) => [op]), weightBytes, setTokens };
  }

  /**
   * Attention of one token each of `sequences` sequences over `context` tokens, itself included; one round, of the splits
   * and of their merge, for each of several layers' keys and values. `cacheBytes`: of the keys and values that a round reads.
   */
  attentions({ heads, sequences, context, kvCacheDtype = 'f32' }: AttentionScene, workingSetBytes: number) {
    const blockSize = 16;
    const maxBlocks = Math.ceil(context / blockSize);
    const shape = { ...heads, blockSize, maxBlocks };
    const layerBytes = sequences * maxBlocks * layerBlockBytes(shape, kvCacheDtype);
    const layers = Math.min(64, Math.ceil(workingSetBytes / (2 * layerBytes)));
    const room = Math.ceil(sequences / 8) * 8;
    const splits = numPartialsAt(context - 1, ATTENTION_SPLIT);
    const lastWords = attentionWords(Array.from({ length: sequences }, (_, table) => ({ position: context - 1, table })));
    const counts = this.#uniform();
    this.#gpu.device.queue.writeBuffer(counts, 0, new Uint32Array([sequences]));
    const shared = {
      ...shape,
      ...kernelSizes(this.#gpu.adapter, heads),
      subgroups: this.#gpu.hasSubgroups,
      singles: this.#words(Array.from({ length: room }, (_, i) => [i, 1]).flat()),
      tiles: this.#words([0, 0, 0, 0]),
      kvCacheDtype,
      queries: this.#filled(queriesBytes(heads, room) / 4),
      rows: this.#words(
        lastWords.flatMap((word) => [0, context - 1, 0, word]),
        ROW_BYTES * room,
      ),
      // Neighbours in a sequence are no neighbours in memory.
      blockTables: this.#words(
        Array.from({ length: sequences }, (_, i) => Array.from({ length: maxBlocks }, (_, j) => j * sequences + i)).flat(),
      ),
      partials: this.#buffer(partialsBytes(shape, Math.max(1, sequences * splits))),
      y: this.#buffer(room * heads.numHeads * heads.headSize * 4),
      counts,
    } as const;
    const rounds = Array.from({ length: layers }, (): readonly [splits: Op, merge: Op] => {
      const cache = { keys: this.#cached(layerBytes), values: this.#cached(layerBytes) };
      // Rows alone, and the merge: no request has several here.
      const [rows, , merge] = attention(this.#builder, { ...shared, ...cache });
      return [rows, merge];
    });
    return { rounds, cacheBytes: 2 * layerBytes };
  }

  /** Frees the buffers made so far; pipelines stay. */
  clear(): void {
    for (const buffer of this.#buffers.splice(0)) buffer.destroy();
  }

  #matrix(type: MatrixType, rows: number, columns: number, numerics: Numerics): PackedMatrix {
    const packed = repackRows(type, randomMatrix(type, rows, columns, createRandom(1)).bytes, rows, columns, packingOf({ numerics }));
    const format = packedFormatOf(type) ?? 'int8';
    const layout = matrixLayout(this.#gpu.adapter);
    const wideScales = format === 'int4' && layout.wideScales;
    const sliceGroups = Math.ceil(columns / GROUP_SIZE / layout.maxSlices);
    const weights = this.#holding(packed.weights);
    const scales = this.#holding(wideScales ? widenScales(packed.scales) : packed.scales);
    return { format, numerics, wideScales, rows, columns, lanes: TILE_LANES, sliceGroups, weights, scales };
  }

  #copyOf(matrix: PackedMatrix): PackedMatrix {
    const [weights, scales] = [matrix.weights, matrix.scales].map((buffer) => {
      const copy = this.#buffer(buffer.size);
      const encoder = this.#gpu.device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size);
      this.#gpu.device.queue.submit([encoder.finish()]);
      return copy;
    }) as [GPUBuffer, GPUBuffer];
    return { ...matrix, weights, scales };
  }

  /** Floats around zero, the same few again and again. */
  #filled(length: number): GPUBuffer {
    const random = createRandom(2);
    return this.#repeating(new Float32Array(Math.min(length, 2 ** 16)).map(() => random.normal()), length);
  }

  /** Words that are finite numbers in each type of cache. */
  #cached(bytes: number): GPUBuffer {
    const random = createRandom(3);
    const length = bytes / 4;
    return this.#repeating(new Uint32Array(Math.min(length, 2 ** 16)).map(() => (random.uint32() & 0x83ff8fff) | 0x3c003000), length);
  }

  #repeating(some: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>, length: number): GPUBuffer {
    const buffer = this.#buffer(length * 4);
    for (let at = 0; at < length; at += some.length) {
      this.#gpu.device.queue.writeBuffer(buffer, at * 4, some.subarray(0, Math.min(some.length, length - at)));
    }
    return buffer;
  }

  #words(words: readonly number[], bytes = words.length * 4): GPUBuffer {
    const buffer = this.#buffer(bytes);
    this.#gpu.device.queue.writeBuffer(buffer, 0, new Uint32Array(words));
    return buffer;
  }

  #holding(data: Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>): GPUBuffer {
    const buffer = this.#buffer(data.byteLength);
    this.#gpu.device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  }

  #uniform(): GPUBuffer {
    return this.#buffer(16, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
  }

  #buffer(bytes: number, usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC): GPUBuffer {
    const buffer = this.#gpu.device.createBuffer({ size: Math.max(16, Math.ceil(bytes / 16) * 16), usage });
    this.#buffers.push(buffer);
    return buffer;
  }
}

/** A step that samples nothing. */
export function shapeOf(tokens: number, maxContext = 1): StepShape {
  const attended = { maxContext, singles: tokens, tiles: 0, contextTokens: tokens * maxContext, attendedTokens: tokens * maxContext };
  return { tokens, samples: 0, biased: 0, penalised: 0, filtered: 0, topK: 0, topP: 0, ...attended };
}
