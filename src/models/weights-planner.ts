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
import type { RowOrder } from './row-order.ts';

/** A matrix whose outputs land at `outputOffset` of a wider row: a part of a projection. */
export interface PlacedMatrix {
  readonly matrix: PackedMatrix;
  readonly outputOffset: number;
}

/** Where some of a tensor's rows go. */
export interface MatrixPart {
  readonly matrix: PackedMatrix;
  /** The tensor's first row here, how many follow, and which row of the matrix it becomes. */
  readonly firstRow: number;
  readonly rows: number;
  readonly rowOffset: number;
}

/** Where a tensor's bytes go. */
export type Destination =
  | { readonly kind: 'matrix'; readonly parts: readonly MatrixPart[]; readonly order: RowOrder | undefined }
  | {
      readonly kind: 'vector';
      readonly format: FloatFormat;
      readonly buffer: GPUBuffer;
      /** In elements. */
      readonly offset: number;
      readonly order: RowOrder | undefined;
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
export interface Piece {
  readonly tensor: TensorInfo;
  /** The tensor's, or more: the others are zero. */
  readonly rows: number;
  readonly format: PackedFormat;
  /** @default as they are */
  readonly order?: RowOrder | undefined;
}

/** What may be said of a tensor as a part of a matrix. */
export interface PieceOptions {
  readonly order?: RowOrder | undefined;
  /** Rows that it takes of the matrix, a multiple of 4; those that it does not have are zero. @default its own, rounded up */
  readonly heldRows?: number;
}

/** A part of a vector. */
export interface VectorPiece {
  readonly name: string;
  readonly length: number;
  /** @default as they are */
  readonly order?: RowOrder | undefined;
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
  piece(name: string, rows: number, columns: number, { order, heldRows = roundedUp(rows) }: PieceOptions = {}): Piece {
    const tensor = requireTensor(this.#file, name);
    this.#checkShape(tensor, [rows, columns]);
    const format = packedFormatOf(tensor.type);
    if (format === undefined) throw this.#unsupportedType(tensor, `matrices may be ${SUPPORTED_TYPES.join(', ')}`);
    return { tensor, rows: heldRows, format, order };
  }

  /** A vector of floats, widened to f32, and zeros up to `heldLength` elements. */
  vector(name: string, length: number, heldLength = length): GPUBuffer {
    return this.#vectors(name, [{ name, length }], heldLength);
  }

  /** Vectors in one buffer, one behind the other. */
  vectors(label: string, pieces: readonly VectorPiece[], usage?: GPUBufferUsageFlags): GPUBuffer {
    return this.#vectors(label, pieces, pieces.reduce((sum, piece) => sum + piece.length, 0), usage);
  }

  #vectors(label: string, pieces: readonly VectorPiece[], length: number, usage?: GPUBufferUsageFlags): GPUBuffer {
    const buffer = this.#buffers.create(label, length * 4, usage);
    let offset = 0;
    for (const piece of pieces) {
      const format = this.#floats(piece.name, piece.length);
      this.destinations.set(piece.name, { kind: 'vector', format, buffer, offset, order: piece.order });
      offset += piece.length;
    }
    return buffer;
  }

  /** A vector that the host needs: filled when the weights are read. */
  hostVector(name: string, length: number): Float32Array {
    const values = new Float32Array(length);
    this.destinations.set(name, { kind: 'host', format: this.#floats(name, length), values });
    return values;
  }

  /** The pieces' rows, one below the other, as few matrices as their formats, tile boundaries and the GPU's bindings allow. */
  fuse(pieces: readonly Piece[]): PlacedMatrix[] {
    const runs: Piece[][] = [];
    for (const piece of pieces) {
      const run = runs.at(-1);
      const last = run?.at(-1);
      const fits = last !== undefined && last.rows % TILE_ROWS === 0 && last.format === piece.format;
      if (run !== undefined && fits && this.#isBindable([...run, piece])) run.push(piece);
      else runs.push([piece]);
    }
    let outputOffset = 0;
    return runs.flatMap((run) => {
      const [first] = run;
      const isAlone = run.length === 1 && first !== undefined && first.order === undefined;
      const placed = isAlone ? this.split(first, outputOffset) : [{ matrix: this.matrix(run), outputOffset }];
      outputOffset += run.reduce((sum, { rows }) => sum + rows, 0);
      return placed;
    });
  }

  /** The piece's rows, as few matrices as the GPU's bindings allow. */
  split(piece: Piece, outputOffset = 0): PlacedMatrix[] {
    const { tensor, rows, format } = piece;
    const tileBytes = packedWords(format, TILE_ROWS, columnsOf(tensor)) * 4;
    const most = Math.max(1, Math.floor(this.#layout.maxBindingBytes / tileBytes)) * TILE_ROWS;
    const parts: MatrixPart[] = [];
    for (let firstRow = 0; firstRow < rows; firstRow += most) {
      const count = Math.min(most, rows - firstRow);
      const name = count < rows ? `${tensor.name} from row ${firstRow}` : tensor.name;
      const matrix = this.#create(name, format, count, columnsOf(tensor));
      const own = Math.min(count, rowsOf(tensor) - firstRow);
      parts.push({ matrix, firstRow, rows: own, rowOffset: 0 });
    }
    this.destinations.set(tensor.name, { kind: 'matrix', parts, order: piece.order });
    return parts.map(({ matrix, firstRow }) => ({ matrix, outputOffset: outputOffset + firstRow }));
  }

  /** One matrix of the pieces' rows; all but the last have whole tiles, all have one format. */
  matrix(pieces: readonly Piece[]): PackedMatrix {
    const [first] = pieces;
    if (first === undefined) throw new Error('a matrix needs a piece');
    const rows = pieces.reduce((sum, piece) => sum + piece.rows, 0);
    const name = pieces.map(({ tensor }) => tensor.name).join(' + ');
    const matrix = this.#create(name, first.format, rows, columnsOf(first.tensor));
    let rowOffset = 0;
    for (const { tensor, rows: own, order } of pieces) {
      const parts = [{ matrix, firstRow: 0, rows: rowsOf(tensor), rowOffset }];
      this.destinations.set(tensor.name, { kind: 'matrix', parts, order });
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

  #isBindable(pieces: readonly Piece[]): boolean {
    const bytes = pieces.reduce((sum, { tensor, rows, format }) => sum + packedWords(format, rows, columnsOf(tensor)) * 4, 0);
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
