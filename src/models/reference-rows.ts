import type { TensorInfo } from '../formats/gguf.ts';
import type { PackedMatrix } from '../kernels/matmul.ts';
import type { WeightRow } from '../quant/expected-outputs.ts';
import { TILE_ROWS } from '../quant/packed-layout.ts';
import { sourceRowBytes } from '../quant/repack.ts';
import { type RowPermutation, sourceRow } from './row-permutation.ts';
import type { Destination, MatrixShard } from './weights-planner.ts';

/** Pairs of rows that are kept of a tensor's part of a matrix. */
const PAIRS = 8;

/** A row of a matrix on the GPU, as it is in the file. */
export interface ReferenceRow extends WeightRow {
  readonly tensor: string;
  /** In the matrix, so that of its output. */
  readonly row: number;
}

/** A matrix on the GPU, and some of its rows. */
export interface ReferenceMatrix {
  readonly matrix: PackedMatrix;
  readonly rows: readonly ReferenceRow[];
}

/** A tensor's part of a matrix. */
interface TensorPart {
  readonly tensor: TensorInfo;
  readonly shard: MatrixShard;
  readonly permutation: RowPermutation | undefined;
}

/** A row whose bytes are still to come. */
interface AwaitedRow extends ReferenceRow {
  /** Its first byte in the tensor. */
  readonly start: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  missing: number;
}

/**
 * Rows of weights for a known-answer test of the kernels: `expectedOutputs` multiplies them on the CPU. They are copied
 * while the weights are uploaded, of one matrix of each class. Matrices of a class have the same format, rows, columns and
 * parts, and the same place in their layers, so the same pipelines multiply them.
 *
 * Of a tensor's part of a matrix 16 rows are kept, or all where it has fewer. A matrix has three parts at most: queries, keys
 * and values.
 */
export class ReferenceRows {
  #matrices: readonly ReferenceMatrix[];
  readonly #awaited = new Map<string, AwaitedRow[]>();

  /** @param tensors those of the file; of a class, the matrix of the first one is kept */
  constructor(tensors: readonly TensorInfo[], destinations: ReadonlyMap<string, Destination>) {
    const ofClasses = new Map<string, ReferenceMatrix>();
    for (const [matrix, parts] of partsOf(tensors, destinations)) {
      const key = classOf(matrix, parts);
      if (!ofClasses.has(key)) ofClasses.set(key, { matrix, rows: parts.flatMap((part) => this.#await(part)) });
    }
    this.#matrices = [...ofClasses.values()];
  }

  /**
   * Copies the parts of its rows that are among these bytes of a tensor. Each byte of a tensor comes once.
   *
   * @param start the first byte's place in the tensor
   */
  keep(tensor: string, start: number, bytes: Uint8Array): void {
    for (const row of this.#awaited.get(tensor) ?? []) {
      const from = Math.max(start, row.start);
      const end = Math.min(start + bytes.length, row.start + row.bytes.length);
      if (from >= end) continue;
      row.bytes.set(bytes.subarray(from - start, end - start), from - row.start);
      row.missing -= end - from;
    }
  }

  /** Hands the rows over, once, after the upload. They are freed with the result. */
  take(): readonly ReferenceMatrix[] {
    const partial = [...this.#awaited.values()].flat().find(({ missing }) => missing !== 0);
    if (partial !== undefined) throw new Error(`row ${partial.row} of ${partial.tensor} lacks ${partial.missing} bytes`);
    const matrices = this.#matrices;
    this.#matrices = [];
    this.#awaited.clear();
    return matrices;
  }

  #await({ tensor: { name: tensor, type, shape }, shard, permutation }: TensorPart): readonly AwaitedRow[] {
    const rowBytes = sourceRowBytes(type, shape[1] ?? 0);
    const rows = referencePlaces(shard.rows).map((place) => {
      const source = shard.firstRow + (permutation === undefined ? place : sourceRow(permutation, place));
      const bytes = new Uint8Array(rowBytes);
      return { tensor, type, row: shard.rowOffset + place, start: source * rowBytes, bytes, missing: rowBytes };
    });
    this.#awaited.set(tensor, [...(this.#awaited.get(tensor) ?? []), ...rows]);
    return rows;
  }
}

/** The parts of each matrix, in its order. */
function partsOf(tensors: readonly TensorInfo[], destinations: ReadonlyMap<string, Destination>): Map<PackedMatrix, TensorPart[]> {
  const ofMatrices = new Map<PackedMatrix, TensorPart[]>();
  for (const tensor of tensors) {
    const destination = destinations.get(tensor.name);
    if (destination?.kind !== 'matrix') continue;
    const { shards, permutation } = destination;
    for (const shard of shards) {
      const others = ofMatrices.get(shard.matrix) ?? [];
      const parts = [...others, { tensor, shard, permutation }].toSorted((a, b) => a.shard.rowOffset - b.shard.rowOffset);
      ofMatrices.set(shard.matrix, parts);
    }
  }
  return ofMatrices;
}

function classOf({ format, rows, columns }: PackedMatrix, parts: readonly TensorPart[]): string {
  const places = parts.map(({ tensor, shard }) => `${roleOf(tensor)}, ${shard.rows} from ${shard.rowOffset}`);
  return `${format} ${rows} x ${columns}: ${places.join('; ')}`;
}

/** The tensor's name, which is the same in all layers. */
function roleOf({ name }: TensorInfo): string {
  return name.replace(/^blk\.\d+\./, '');
}

/**
 * The rows that are kept of a part, ascending. They depend on its length alone, so a gate's are those of the up projection
 * beside it. They are pairs that a lane has side by side, so RoPE rotates one with the other: the first and the last pair; the
 * pairs at the end of the first tile, and at the start of the last; and pairs of lanes in the other orders of k (see
 * shaders/README.md). Where pairs coincide, others are spread over the part.
 */
export function referencePlaces(rows: number): readonly number[] {
  const numPairs = Math.ceil(rows / 2);
  const lastTile = Math.floor((rows - 1) / TILE_ROWS) * TILE_ROWS;
  const middleTile = Math.floor(rows / TILE_ROWS / 2) * TILE_ROWS;
  const edges = [0, 2 * (numPairs - 1), TILE_ROWS - 2, TILE_ROWS, lastTile - 2, lastTile];
  const inLanes = [5, 10].map((lane) => middleTile + 4 * lane + (lane % 2) * 2); // orders 1 and 2
  const spread = Array.from({ length: 2 * PAIRS }, (_, i) => 2 * Math.floor((((5 * i) % (2 * PAIRS)) * numPairs) / (2 * PAIRS)));
  const pairs = [...new Set([...edges, ...inLanes, ...spread])].filter((place) => place >= 0 && place < rows).slice(0, PAIRS);
  return pairs.flatMap((place) => [place, place + 1]).filter((place) => place < rows).toSorted((a, b) => a - b);
}
