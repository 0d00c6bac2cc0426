import { TabserveError } from '../core/errors.ts';
import type { LayerCache } from '../models/decoder.ts';

/**
 * Copies whole KV blocks out of the cache and into it. Both enqueue their copies on the GPU before the call returns. So
 * a step submitted before a write does not see it, and a step submitted after sees all of it. A read returns the
 * block's content at the call, whatever happens to the block later.
 *
 * A block's bytes are its keys and its values of layer 0, then of layer 1, and so on.
 */
export class KvBlockTransfer {
  /** Bytes of a block over all layers. */
  readonly blockBytes: number;
  readonly #device: GPUDevice;
  readonly #buffers: readonly GPUBuffer[];
  readonly #layerBytes: number;
  readonly #staging: GPUBuffer;
  #isReading = false;

  /**
   * @param layerBytes bytes of a block's keys, and of its values, in one layer.
   * @param staging of the bytes of a block, `MAP_READ | COPY_DST`.
   */
  constructor(device: GPUDevice, cache: readonly LayerCache[], layerBytes: number, staging: GPUBuffer) {
    this.#device = device;
    this.#buffers = cache.flatMap(({ keys, values }) => [keys, values]);
    this.#layerBytes = layerBytes;
    this.#staging = staging;
    this.blockBytes = this.#buffers.length * layerBytes;
  }

  /** Reads a block. One read at a time. Rejects where the device is lost. */
  async read(block: number): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#isReading) throw new TabserveError('internal', 'One KV block is read at a time.');
    this.#isReading = true;
    try {
      const encoder = this.#device.createCommandEncoder();
      for (const [i, buffer] of this.#buffers.entries()) {
        encoder.copyBufferToBuffer(buffer, block * this.#layerBytes, this.#staging, i * this.#layerBytes, this.#layerBytes);
      }
      this.#device.queue.submit([encoder.finish()]);
      await this.#staging.mapAsync(GPUMapMode.READ, 0, this.blockBytes);
      const bytes = new Uint8Array(this.#staging.getMappedRange(0, this.blockBytes).slice(0));
      this.#staging.unmap();
      return bytes;
    } finally {
      this.#isReading = false;
    }
  }

  /** Writes a block. Resolves when the GPU has done so. */
  async write(block: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (bytes.length !== this.blockBytes) {
      throw new TabserveError('internal', `${bytes.length} bytes are no KV block of ${this.blockBytes}.`);
    }
    const { queue } = this.#device;
    for (const [i, buffer] of this.#buffers.entries()) {
      queue.writeBuffer(buffer, block * this.#layerBytes, bytes, i * this.#layerBytes, this.#layerBytes);
    }
    await queue.onSubmittedWorkDone();
  }
}
