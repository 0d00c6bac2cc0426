/**
 * Attention divides a row's context into splits of `splitTokens` tokens. A row whose context is several leaves a partial result
 * for each, which are then merged. So a step needs room for the partial results of all its rows.
 */

/** The number of partial results of a row at a position (from 0): none where its context is one split. */
export function numPartialsAt(position: number, splitTokens: number): number {
  return position < splitTokens ? 0 : Math.floor(position / splitTokens) + 1;
}

/** The number of partial results of `numRows` rows at positions from `startPosition` on. */
export function numPartialsOf(startPosition: number, numRows: number, splitTokens: number): number {
  let sum = 0;
  for (let i = 0; i < numRows; i++) sum += numPartialsAt(startPosition + i, splitTokens);
  return sum;
}

/** How many of `numRows` rows at positions from `startPosition` on have no more than `numPartials` partial results. */
export function numRowsWithin(startPosition: number, numRows: number, splitTokens: number, numPartials: number): number {
  let left = numPartials;
  for (let i = 0; i < numRows; i++) {
    left -= numPartialsAt(startPosition + i, splitTokens);
    if (left < 0) return i;
  }
  return numRows;
}
