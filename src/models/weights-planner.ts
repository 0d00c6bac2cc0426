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

/** A matrix of a projection. Its outputs start at `outputOffset` of the projection's row. */
export interface ProjectionMatrix {
  readonly matrix: PackedMatrix;
  readonly outputOffset: number;
}

/** A range of a tensor's rows, and its place in a matrix. */
export interface MatrixShard {
  readonly matrix: PackedMatrix;
  /** The range's first row in the tensor, its length, and its first row in the matrix. */
  readonly firstRow: number;
  readonly rows: number;
  readonly rowOffset: number;
}

/** The destination of a tensor's bytes. */
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

/** How matrices are stored and summed, as the adapter and the chosen numerics decide. */
export interface MatrixLayout {
  readonly numerics: Numerics;
  /** See {@link PackedMatrix}. */
  readonly wideScales: boolean;
  /** The most slices that k is split into, so that sets of lanes can share it. */
  readonly maxSlices: number;
  /** A larger matrix is split into several. */
  readonly maxBindingBytes: number;
}

/** A tensor that is a range of a matrix's rows. */
export interface TensorSlice {
  readonly tensor: TensorInfo;
  /** At least the tensor's rows; the padding is zero. */
  readonly rows: number;
  readonly format: PackedFormat;
  /** @default the file's order */
  readonly permutation?: RowPermutation | undefined;
}

/** Options of a tensor slice. */
export interface TensorSliceOptions {
  readonly permutation?: RowPermutation | undefined;
  /** Rows that the slice takes of the matrix, a multiple of 4; padding rows are zero. @default its own, rounded up */
  readonly heldRows?: number;
}

/** A tensor that is a range of a vector. */
export interface VectorSlice {
  readonly name: string;
  readonly length: number;
  /** @default the file's order */
  readonly permutation?: RowPermutation | undefined;
}

/** Creates the buffers of weights, and records which tensor fills which. */
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

  /** A matrix of exactly this shape, from the file. */
  slice(name: string, rows: number, columns: number, { permutation, heldRows = roundedUp(rows) }: TensorSliceOptions = {}): TensorSlice {
    const tensor = requireTensor(this.#file, name);
    this.#checkShape(tensor, [rows, columns]);
    const format = packedFormatOf(tensor.type);
    if (format === undefined) throw this.#unsupportedType(tensor, `matrices may be ${SUPPORTED_TYPES.join(', ')}`);
    return { tensor, rows: heldRows, format, permutation };
  }

  /** A vector of floats, widened to f32 and padded with zeros to `heldLength` elements. */
  vector(name: string, length: number, heldLength = length): GPUBuffer {
    return this.#vectors(name, [{ name, length }], heldLength);
  }

  /** Vectors in one buffer, one after another. */
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

  /** A vector that the host needs. It is filled when the weights are read. */
  hostVector(name: string, length: number): Float32Array {
    const values = new Float32Array(length);
    this.destinations.set(name, { kind: 'host', format: this.#floats(name, length), values });
    return values;
  }

  /** The slices' rows, concatenated into as few matrices as their formats, tile boundaries and the GPU's bindings allow. */
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

  /** The slice's rows, in as few matrices as the GPU's bindings allow. */
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

  /** One matrix of the slices' rows. All slices have one format, and all but the last have whole tiles. */
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

  /** Refuses a file with further tensors: leaving one out would change the results without an error. */
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

/** The rows of a matrix for a tensor's rows: a multiple of 4, since a lane has 4. */
function roundedUp(rows: number): number {
  return Math.ceil(rows / 4) * 4;
}

function rowsOf(tensor: TensorInfo): number {
  return tensor.shape[0] ?? 0;
}

function columnsOf(tensor: TensorInfo): number {
  return tensor.shape[1] ?? 0;
}
