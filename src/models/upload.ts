import type { ModelFile, TensorInfo } from '../formats/gguf.ts';
import { packedWords, scaleWords, TILE_ROWS } from '../quant/packed-layout.ts';
import { widenFloats } from '../quant/repack-floats.ts';
import { repackRows, sourceRowBytes, widenScales } from '../quant/repack.ts';
import { packingOf } from '../kernels/matmul.ts';
import type { RowOrder } from './row-order.ts';
import { UploadPace } from './upload-pace.ts';
import type { Destination, MatrixPart } from './weights-planner.ts';

/** Bytes repacked in one turn of the event loop: the worker that does this also feeds every tab. */
const SLICE_BYTES = 1024 * 1024;

/**
 * Reads every tensor, in file order, repacks it slice by slice and hands it to the GPU. Memory is bounded by a few
 * slices, whatever the model's size.
 */
export async function uploadWeights(
  device: GPUDevice,
  file: ModelFile,
  destinations: ReadonlyMap<string, Destination>,
): Promise<void> {
  const pace = new UploadPace(device.queue);
  for (const tensor of file.tensors) {
    const destination = destinations.get(tensor.name);
    if (destination?.kind === 'matrix') {
      for (const part of destination.parts) await uploadPart(device, file, tensor, part, destination.order, pace);
    } else if (destination !== undefined) {
      const values = widenFloats(destination.format, await file.source.read(tensor.offset, tensor.byteLength));
      if (destination.kind === 'host') destination.values.set(values);
      else device.queue.writeBuffer(destination.buffer, 4 * destination.offset, ordered(values, destination.order));
    }
  }
  await device.queue.onSubmittedWorkDone();
}

function ordered(values: Float32Array<ArrayBuffer>, order: RowOrder | undefined): Float32Array<ArrayBuffer> {
  if (order === undefined) return values;
  const result = new Float32Array(values.length);
  for (const [i, value] of values.entries()) result[order.place(i)] = value;
  return result;
}

async function uploadPart(
  device: GPUDevice,
  file: ModelFile,
  tensor: TensorInfo,
  { matrix, firstRow, rows, rowOffset }: MatrixPart,
  order: RowOrder | undefined,
  pace: UploadPace,
): Promise<void> {
  const [, columns = 0] = tensor.shape;
  const rowBytes = sourceRowBytes(tensor.type, columns);
  const unit = leastCommonMultiple(TILE_ROWS, order?.period ?? 1); // a slice has whole tiles, and whole runs of the order
  const sliceRows = Math.max(1, Math.floor(SLICE_BYTES / (rowBytes * unit))) * unit;
  for (let row = 0; row < rows; row += sliceRows) {
    const count = Math.min(sliceRows, rows - row);
    const bytes = await file.source.read(tensor.offset + (firstRow + row) * rowBytes, count * rowBytes);
    const { weights, scales } = repackRows(tensor.type, bytes, count, columns, packingOf(matrix), order?.place);
    const tile = (rowOffset + row) / TILE_ROWS;
    device.queue.writeBuffer(matrix.weights, tile * packedWords(matrix.format, TILE_ROWS, columns) * 4, weights);
    const scaleBytes = scaleWords(matrix.format, TILE_ROWS, columns) * 4;
    const wide = matrix.wideScales ? widenScales(scales) : scales;
    if (scaleBytes > 0) device.queue.writeBuffer(matrix.scales, tile * scaleBytes * (matrix.wideScales ? 2 : 1), wide);
    await pace.next(bytes.length, [weights, scales, wide]);
  }
}

function leastCommonMultiple(a: number, b: number): number {
  let multiple = a;
  while (multiple % b !== 0) multiple += a;
  return multiple;
}
