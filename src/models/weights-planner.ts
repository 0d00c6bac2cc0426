import { TabserveError } from '../core/errors.ts';
import type { Numerics } from '../core/numerics.ts';
import type { BufferPool } from '../gpu/buffers.ts';
import type { PackedMatrix } from '../kernels/matmul.ts';
import type { ModelFile, TensorInfo } from '../formats/gguf.ts';
import {
  type FloatFormat, GROUP_SIZE, isFloatFormat, type PackedFormat, packedWords, paddedSize, scaleWords, TILE_LANES, TILE_ROWS,
} from '../quant/packed-layout.ts';
import { FLOAT_TYPE_NAMES, floatFormatOf } from '../quant/repack-floats.ts';
import { packedFormatOf, SUPPORTED_TYPES } from '../quant/repack.ts';
import { requireTensor } from './architectures.ts';
import type { RowPermutation } from './row-permutation.ts';

/** A matrix whose outputs land at `outputOffset` of a wider row: a part of a projection. */
export interface ProjectionMatrix {
  readonly matrix: PackedMatrix;
  readonly outputOffset: number;
}

/** Where some of a tensor's rows go. */
export interface MatrixShard {
  readonly matrix: PackedMatrix;
  /** The tensor's first row here, how many follow, and which row of the matrix it becomes. */
  readonly firstRow: number;
  readonly rows: number;
  readonly rowOffset: number;
}

/** Where a tensor's bytes go. */
export type Destination =
  | { readonly kind: 'matrix'; readonly shards: readonly MatrixShard[]; readonly permutation: RowPermutation | undefined }
  | {
      readonly kind: 'vector';
      readonly format: FloatFormat;
      readonly buffer: GPUBuffer;
      /** In elements. */
      readonly offset: number;
      readonly permutation: RowPermutation | undefined;
    }
  | { readonly kind: 'host'; readonly format: FloatFormat; readonly values: Float32Array };

/** What the adapter, and the numerics asked for, decide of how matrices are held and summed. */
export interface MatrixLayout {
  readonly numerics: Numerics;
  /** See {@link PackedMatrix}. */
  readonly wideScales: boolean;
  /** The most slices that k is summed in, so that sets of lanes can share it out. */
  readonly maxSlices: number;
  /** What is larger than so many bytes is several matrices. */
  readonly maxBindingBytes: number;
}

/** A tensor as a part of a matrix. */
export interface TensorSlice {
  readonly tensor: TensorInfo;
  /** The tensor's, or more: the others are zero. */
  readonly rows: number;
  readonly format: PackedFormat;
  /** @default as they are */
  readonly permutation?: RowPermutation | undefined;
}

/** What may be said of a tensor as a part of a matrix. */
export interface TensorSliceOptions {
  readonly permutation?: RowPermutation | undefined;
  /** Rows that it takes of the matrix, a multiple of 4; those that it does not have are zero. @default its own, rounded up */
  readonly heldRows?: number;
}

/** A part of a vector. */
export interface VectorSlice {
  readonly name: string;
  readonly length: number;
  /** @default as they are */
  readonly permutation?: RowPermutation | undefined;
}

/** Creates weights' buffers, and notes what fills them. */
export class WeightsPlanner {
  readonly destinations = new Map<string, Destination>();
  readonly #file: ModelFile;
  readonly #buffers: BufferPool;
  readonly #layout: MatrixLayout;

  constructor(file: ModelFile, buffers: BufferPool, layout: MatrixLayout) {
    this.#file = file;
    this.#buffers = buffers;
    this.#layout = layout;
  }

  /** A matrix of exactly this shape, in the file. */
  slice(name: string, rows: number, columns: number, { permutation, heldRows = roundedUp(rows) }: TensorSliceOptions = {}): TensorSlice {
    const tensor = requireTensor(this.#file, name);
    this.#checkShape(tensor, [rows, columns]);
    const format = packedFormatOf(tensor.type);
    if (format === undefined) throw this.#unsupportedType(tensor, `matrices may be ${SUPPORTED_TYPES.join(', ')}`);
    return { tensor, rows: heldRows, format, permutation };
  }

  /** A vector of floats, widened to f32, and zeros up to `heldLength` elements. */
  vector(name: string, length: number, heldLength = length): GPUBuffer {
    return this.#vectors(name, [{ name, length }], heldLength);
  }

  /** Vectors in one buffer, one behind the other. */
  vectors(label: string, slices: readonly VectorSlice[], usage?: GPUBufferUsageFlags): GPUBuffer {
    return this.#vectors(label, slices, slices.reduce((sum, slice) => sum + slice.length, 0), usage);
  }

  #vectors(label: string, slices: readonly VectorSlice[], length: number, usage?: GPUBufferUsageFlags): GPUBuffer {
    const buffer = this.#buffers.create(label, length * 4, usage);
    let offset = 0;
    for (const slice of slices) {
      const format = this.#floats(slice.name, slice.length);
      this.destinations.set(slice.name, { kind: 'vector', format, buffer, offset, permutation: slice.permutation });
      offset += slice.length;
    }
    return buffer;
  }

  /** A vector that the host needs: filled when the weights are read. */
  hostVector(name: string, length: number): Float32Array {
    const values = new Float32Array(length);
    this.destinations.set(name, { kind: 'host', format: this.#floats(name, length), values });
    return values;
  }

  /** The slices' rows, one below the other, as few matrices as their formats, tile boundaries and the GPU's bindings allow. */
  merge(slices: readonly TensorSlice[]): ProjectionMatrix[] {
    const runs: TensorSlice[][] = [];
    for (const slice of slices) {
      const run = runs.at(-1);
      const last = run?.at(-1);
      const fits = last !== undefined && last.rows % TILE_ROWS === 0 && last.format === slice.format;
      if (run !== undefined && fits && this.#isBindable([...run, slice])) run.push(slice);
      else runs.push([slice]);
    }
    let outputOffset = 0;
    return runs.flatMap((run) => {
      const [first] = run;
      const isAlone = run.length === 1 && first !== undefined && first.permutation === undefined;
      const placed = isAlone ? this.split(first, outputOffset) : [{ matrix: this.matrix(run), outputOffset }];
      outputOffset += run.reduce((sum, { rows }) => sum + rows, 0);
      return placed;
    });
  }

  /** The slice's rows, as few matrices as the GPU's bindings allow. */
  split(slice: TensorSlice, outputOffset = 0): ProjectionMatrix[] {
    const { tensor, rows, format } = slice;
    const tileBytes = packedWords(format, TILE_ROWS, columnsOf(tensor)) * 4;
    const most = Math.max(1, Math.floor(this.#layout.maxBindingBytes / tileBytes)) * TILE_ROWS;
    const shards: MatrixShard[] = [];
    for (let firstRow = 0; firstRow < rows; firstRow += most) {
      const count = Math.min(most, rows - firstRow);
      const name = count < rows ? `${tensor.name} from row ${firstRow}` : tensor.name;
      const matrix = this.#create(name, format, count, columnsOf(tensor));
      const own = Math.min(count, rowsOf(tensor) - firstRow);
      shards.push({ matrix, firstRow, rows: own, rowOffset: 0 });
    }
    this.destinations.set(tensor.name, { kind: 'matrix', shards, permutation: slice.permutation });
    return shards.map(({ matrix, firstRow }) => ({ matrix, outputOffset: outputOffset + firstRow }));
  }

  /** One matrix of the slices' rows; all but the last have whole tiles, all have one format. */
  matrix(slices: readonly TensorSlice[]): PackedMatrix {
    const [first] = slices;
    if (first === undefined) throw new Error('a matrix needs a slice');
    const rows = slices.reduce((sum, slice) => sum + slice.rows, 0);
    const name = slices.map(({ tensor }) => tensor.name).join(' + ');
    const matrix = this.#create(name, first.format, rows, columnsOf(first.tensor));
    let rowOffset = 0;
    for (const { tensor, rows: own, permutation } of slices) {
      const shards = [{ matrix, firstRow: 0, rows: rowsOf(tensor), rowOffset }];
      this.destinations.set(tensor.name, { kind: 'matrix', shards, permutation });
      rowOffset += own;
    }
    return matrix;
  }

  /** A tensor that would be left out changes what the model computes: refuse rather than talk nonsense fluently. */
  refuseOthers(architecture: string): void {
    const other = this.#file.tensors.find((tensor) => !this.destinations.has(tensor.name));
    if (other === undefined) return;
    throw new TabserveError(
      'unsupported_tensor',
      `${this.#file.source.id}: tensor ${other.name} (${other.type}) is not part of a plain ${architecture} decoder; this ` +
        'variation of the architecture is not supported yet.',
    );
  }

  #create(name: string, format: PackedFormat, rows: number, columns: number): PackedMatrix {
    const weights = this.#buffers.create(name, packedWords(format, rows, columns) * 4);
    const isFloat = isFloatFormat(format);
    const numerics = isFloat ? 'f32' : this.#layout.numerics;
    const wideScales = format === 'int4' && this.#layout.wideScales;
    const padded = paddedSize(columns);
    const sliceGroups = Math.ceil(padded / GROUP_SIZE / this.#layout.maxSlices);
    const scales = this.#buffers.create(`scales of ${name}`, scaleWords(format, rows, columns) * (wideScales ? 8 : 4));
    return { format, numerics, wideScales, rows, columns: padded, lanes: TILE_LANES, sliceGroups, weights, scales };
  }

  #isBindable(slices: readonly TensorSlice[]): boolean {
    const bytes = slices.reduce((sum, { tensor, rows, format }) => sum + packedWords(format, rows, columnsOf(tensor)) * 4, 0);
    return bytes <= this.#layout.maxBindingBytes;
  }

  #floats(name: string, length: number): FloatFormat {
    const tensor = requireTensor(this.#file, name);
    this.#checkShape(tensor, [length]);
    const format = floatFormatOf(tensor.type);
    if (format === undefined) throw this.#unsupportedType(tensor, `vectors may be ${FLOAT_TYPE_NAMES.join(', ')}`);
    return format;
  }

  #unsupportedType({ name, type }: TensorInfo, what: string): TabserveError {
    return new TabserveError('unsupported_tensor', `${this.#file.source.id}: tensor ${name} is of type ${type}; ${what} so far.`);
  }

  #checkShape(tensor: TensorInfo, shape: readonly number[]): void {
    if (tensor.shape.length === shape.length && tensor.shape.every((size, i) => size === shape[i])) return;
    throw new TabserveError(
      'corrupt_model',
      `${this.#file.source.id}: tensor ${tensor.name} has shape [${tensor.shape}], but the metadata says [${shape}].`,
    );
  }
}

/** Rows that a matrix has for a tensor's: its lanes have 4 each. */
function roundedUp(rows: number): number {
  return Math.ceil(rows / 4) * 4;
}

function rowsOf(tensor: TensorInfo): number {
  return tensor.shape[0] ?? 0;
}

function columnsOf(tensor: TensorInfo): number {
  return tensor.shape[1] ?? 0;
}
