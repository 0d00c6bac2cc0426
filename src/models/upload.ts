import type { ModelFile, TensorInfo } from '../formats/gguf.ts';
import { packedWords, scaleWords, TILE_ROWS } from '../quant/packed-layout.ts';
import { widenFloats } from '../quant/repack-floats.ts';
import { repackRows, sourceRowBytes, widenScales } from '../quant/repack.ts';
import { packingOf } from '../kernels/matmul.ts';
import type { ReferenceRows } from './reference-rows.ts';
import type { RowPermutation } from './row-permutation.ts';
import { UploadBackpressure } from './upload-backpressure.ts';
import type { Destination, MatrixShard } from './weights-planner.ts';

/** Bytes repacked in one turn of the event loop, because the same worker serves every tab. */
const CHUNK_BYTES = 1024 * 1024;

/** The parts of a device that an upload uses. */
interface UploadDevice {
  readonly queue: Pick<GPUQueue, 'writeBuffer' | 'onSubmittedWorkDone'>;
}

/** The inputs of each matrix's upload. */
interface Upload {
  readonly device: UploadDevice;
  readonly file: ModelFile;
  readonly backpressure: UploadBackpressure;
  readonly referenceRows: ReferenceRows | undefined;
}

/**
 * Reads every tensor in file order, repacks it chunk by chunk and writes it to the GPU. Memory is bounded by a few chunks,
 * whatever the model's size.
 *
 * @param referenceRows receives the bytes of every matrix as they are in the file. @default nobody
 */
export async function uploadWeights(
  device: UploadDevice,
  file: ModelFile,
  destinations: ReadonlyMap<string, Destination>,
  referenceRows?: ReferenceRows,
): Promise<void> {
  const upload: Upload = { device, file, backpressure: new UploadBackpressure(device.queue), referenceRows };
  for (const tensor of file.tensors) {
    const destination = destinations.get(tensor.name);
    if (destination?.kind === 'matrix') {
      for (const shard of destination.shards) await uploadShard(upload, tensor, shard, destination.permutation);
    } else if (destination !== undefined) {
      const values = widenFloats(destination.format, await file.source.read(tensor.offset, tensor.byteLength));
      if (destination.kind === 'host') destination.values.set(values);
      else device.queue.writeBuffer(destination.buffer, 4 * destination.offset, permuted(values, destination.permutation));
    }
  }
  await device.queue.onSubmittedWorkDone();
}

function permuted(values: Float32Array<ArrayBuffer>, permutation: RowPermutation | undefined): Float32Array<ArrayBuffer> {
  if (permutation === undefined) return values;
  const result = new Float32Array(values.length);
  for (const [i, value] of values.entries()) result[permutation.targetRow(i)] = value;
  return result;
}

async function uploadShard(
  { device, file, backpressure, referenceRows }: Upload,
  tensor: TensorInfo,
  { matrix, firstRow, rows, rowOffset }: MatrixShard,
  permutation: RowPermutation | undefined,
): Promise<void> {
  const [, columns = 0] = tensor.shape;
  const rowBytes = sourceRowBytes(tensor.type, columns);
  const unit = leastCommonMultiple(TILE_ROWS, permutation?.groupRows ?? 1); // a chunk has whole tiles, and whole groups of the permutation
  const chunkRows = Math.max(1, Math.floor(CHUNK_BYTES / (rowBytes * unit))) * unit;
  for (let row = 0; row < rows; row += chunkRows) {
    const count = Math.min(chunkRows, rows - row);
    const start = (firstRow + row) * rowBytes;
    const bytes = await file.source.read(tensor.offset + start, count * rowBytes);
    referenceRows?.keep(tensor.name, start, bytes);
    const { weights, scales } = repackRows(tensor.type, bytes, count, columns, packingOf(matrix), permutation?.targetRow);
    const tile = (rowOffset + row) / TILE_ROWS;
    device.queue.writeBuffer(matrix.weights, tile * packedWords(matrix.format, TILE_ROWS, columns) * 4, weights);
    const scaleBytes = scaleWords(matrix.format, TILE_ROWS, columns) * 4;
    const wide = matrix.wideScales ? widenScales(scales) : scales;
    if (scaleBytes > 0) device.queue.writeBuffer(matrix.scales, tile * scaleBytes * (matrix.wideScales ? 2 : 1), wide);
    await backpressure.throttle(bytes.length, [weights, scales, wide]);
  }
}

function leastCommonMultiple(a: number, b: number): number {
  let multiple = a;
  while (multiple % b !== 0) multiple += a;
  return multiple;
}
