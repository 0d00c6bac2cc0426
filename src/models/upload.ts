import type { ModelFile, TensorInfo } from '../loader/gguf.ts';
import { packedWords, repackRows, scaleWords, sourceRowBytes, TILE_ROWS, widenScales } from '../loader/repack.ts';
import { type PackedMatrix, packingOf } from '../kernels/matmul.ts';
import { UploadPace } from './upload-pace.ts';
import type { Destination } from './weights.ts';

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
      await uploadMatrix(device, file, tensor, destination.matrix, destination.rowOffset, pace);
    } else if (destination?.kind === 'vector') {
      device.queue.writeBuffer(destination.buffer, 0, await file.source.read(tensor.offset, tensor.byteLength));
    }
  }
  await device.queue.onSubmittedWorkDone();
}

async function uploadMatrix(
  device: GPUDevice,
  file: ModelFile,
  tensor: TensorInfo,
  matrix: PackedMatrix,
  rowOffset: number,
  pace: UploadPace,
): Promise<void> {
  const [rows = 0, columns = 0] = tensor.shape;
  const rowBytes = sourceRowBytes(tensor.type, columns);
  const tilesPerSlice = Math.max(1, Math.floor(SLICE_BYTES / (rowBytes * TILE_ROWS)));
  for (let row = 0; row < rows; row += tilesPerSlice * TILE_ROWS) {
    const count = Math.min(tilesPerSlice * TILE_ROWS, rows - row);
    const bytes = await file.source.read(tensor.offset + row * rowBytes, count * rowBytes);
    const { weights, scales } = repackRows(tensor.type, bytes, count, columns, packingOf(matrix));
    const tile = (rowOffset + row) / TILE_ROWS;
    device.queue.writeBuffer(matrix.weights, tile * packedWords(matrix.format, TILE_ROWS, columns) * 4, weights);
    const scaleBytes = scaleWords(TILE_ROWS, columns) * 4;
    const wide = matrix.wideScales ? widenScales(scales) : scales;
    device.queue.writeBuffer(matrix.scales, tile * scaleBytes * (matrix.wideScales ? 2 : 1), wide);
    await pace.next(bytes.length, [weights, scales, wide]);
  }
}
