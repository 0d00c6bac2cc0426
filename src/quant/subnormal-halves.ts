import type { DequantisedWeights } from './dequantise.ts';
import type { WeightRow } from './expected-outputs.ts';
import { ggmlTypeNamed } from './ggml-types.ts';

/** The half floats of a block that kernels convert: their offsets in it. Those of other types are converted on the CPU. */
const HALVES: Readonly<Record<string, readonly number[]>> = { Q4_0: [0], Q4_1: [0, 2], F16: [0] };

/**
 * By how much each weight of a row may differ on a GPU that reads subnormal half floats as 0, which WGSL allows: by the
 * magnitudes of those in blocks with such a half. Undefined where the row has none.
 */
export function flushErrors({ type, bytes }: WeightRow, { magnitudes }: DequantisedWeights): Float64Array | undefined {
  const halves = HALVES[type];
  const ggmlType = ggmlTypeNamed(type);
  if (halves === undefined || ggmlType === undefined) return undefined;
  const { blockSize, blockBytes } = ggmlType;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let errors: Float64Array | undefined;
  for (let block = 0; block * blockBytes < bytes.length; block++) {
    if (!halves.some((half) => isSubnormal(view.getUint16(block * blockBytes + half, true)))) continue;
    errors ??= new Float64Array(magnitudes.length);
    errors.set(magnitudes.subarray(block * blockSize, (block + 1) * blockSize), block * blockSize);
  }
  return errors;
}

/** Whether a half float is smaller than 2^-14, and not 0. */
function isSubnormal(bits: number): boolean {
  return (bits & 0x7c00) === 0 && (bits & 0x3ff) !== 0;
}
