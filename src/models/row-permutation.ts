/** A permutation of a matrix's rows, or of a vector's elements. */
export interface RowPermutation {
  /** Rows move within groups of this many, in the same way in each group. */
  readonly groupRows: number;
  /** The new index of a row. */
  readonly targetRow: (row: number) => number;
}

/**
 * The permutation that makes neighbours (2i, 2i + 1) of the pairs that RoPE rotates, (i, i + ropeDimensions / 2) of a
 * head, so that one lane rotates a pair. Permuting queries and keys alike leaves their dot products as they are.
 */
export function interleavedHalves(headSize: number, ropeDimensions: number): RowPermutation {
  const half = ropeDimensions / 2;
  const targetRow = (row: number): number => {
    const element = row % headSize;
    if (element >= ropeDimensions) return row;
    return row - element + (element < half ? 2 * element : 2 * (element - half) + 1);
  };
  return { groupRows: headSize, targetRow };
}

/** The row that the permutation moves to `target`. */
export function sourceRow({ groupRows, targetRow }: RowPermutation, target: number): number {
  const first = target - (target % groupRows);
  for (let row = first; row < first + groupRows; row++) if (targetRow(row) === target) return row;
  throw new Error(`no row is moved to row ${target}`);
}
