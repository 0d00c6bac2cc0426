import { TabserveError } from '../core/errors.ts';

/** The part of a device that a pool uses. */
export interface BufferDevice extends Pick<GPUDevice, 'createBuffer' | 'pushErrorScope' | 'popErrorScope'> {
  readonly limits: Pick<GPUSupportedLimits, 'maxBufferSize' | 'maxStorageBufferBindingSize'>;
  readonly queue: Pick<GPUQueue, 'onSubmittedWorkDone'>;
}

/** The largest buffer that a device creates and binds as a whole. */
export function maxBufferBytes({ limits }: Pick<BufferDevice, 'limits'>): number {
  return Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
}

/**
 * Creates buffers and owns them. Each allocation runs in its own out-of-memory error scope, and {@link ready} awaits
 * them all: an allocation that the GPU refuses is a typed error.
 */
export class BufferPool {
  readonly device: BufferDevice;
  bytes = 0;
  readonly #buffers: GPUBuffer[] = [];
  readonly #checks: Promise<void>[] = [];

  constructor(device: BufferDevice) {
    this.device = device;
  }

  /** The largest buffer that the device creates and binds as a whole. */
  get maxBytes(): number {
    return maxBufferBytes(this.device);
  }

  /**
   * A buffer of at least `size` bytes (rounded up to 16), zeroed. Usage: `COPY_DST | COPY_SRC | STORAGE` unless given.
   *
   * @throws TabserveError `out_of_memory` where it is larger than the device allows.
   */
  create(label: string, size: number, usage?: GPUBufferUsageFlags): GPUBuffer {
    if (size > this.maxBytes) {
      throw new TabserveError(
        'out_of_memory',
        `${label} needs a buffer of ${size} bytes; this GPU binds at most ${this.maxBytes}. Use a smaller model or context.`,
        { details: { neededBytes: size, budgetBytes: this.maxBytes } },
      );
    }
    this.device.pushErrorScope('out-of-memory');
    const buffer = this.device.createBuffer({
      label,
      size: Math.max(16, Math.ceil(size / 16) * 16),
      usage: usage ?? GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
    });
    const check = this.device.popErrorScope().then((error) => {
      if (error === null) return;
      throw new TabserveError('out_of_memory', `The GPU has no ${size} bytes left for ${label}: ${error.message}`);
    });
    check.catch(() => {}); // reported by ready()
    this.#checks.push(check);
    this.#buffers.push(buffer);
    this.bytes += buffer.size;
    return buffer;
  }

  /** Waits until every allocation so far has succeeded. @throws TabserveError `out_of_memory`. */
  async ready(): Promise<void> {
    const results = await Promise.allSettled(this.#checks.splice(0));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /**
   * Creates several buffers, or none: where the GPU refuses one, all that `make` has created are destroyed.
   *
   * @returns the result of `make`, or the GPU's `out_of_memory`
   */
  async tryCreate<T>(make: (buffers: BufferPool) => T): Promise<{ made: T } | { refused: TabserveError }> {
    const attempt = new BufferPool(this.device);
    try {
      const made = make(attempt);
      await attempt.ready();
      this.#buffers.push(...attempt.#buffers);
      this.bytes += attempt.bytes;
      return { made };
    } catch (error) {
      attempt.destroy();
      if (!(error instanceof TabserveError) || error.code !== 'out_of_memory') throw error;
      await this.device.queue.onSubmittedWorkDone(); // by then the memory is free again
      return { refused: error };
    }
  }

  /** Destroys every buffer of the pool. */
  destroy(): void {
    for (const buffer of this.#buffers.splice(0)) buffer.destroy();
    this.bytes = 0;
  }
}
