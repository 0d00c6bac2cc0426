/** Rows of a matrix, or elements of a vector, that change places. */
export interface RowPermutation {
  /** They do within runs of so many, and alike in each. */
  readonly groupRows: number;
  /** Where a row goes. */
  readonly targetRow: (row: number) => number;
}

/**
 * The order that makes the pairs that RoPE rotates, (i, i + ropeDimensions / 2) of a head, neighbours (2i, 2i + 1): what a
 * lane can rotate by itself. Queries and keys in the same other order have the same products, so nothing else changes.
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
