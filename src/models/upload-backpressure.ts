import { freeBuffer } from '../core/free-buffer.ts';
import { yieldToEventLoop } from '../core/yield-to-event-loop.ts';

/** Bytes handed to the GPU that it may not have taken yet. */
const MAX_BYTES_IN_FLIGHT = 32 * 1024 * 1024;

/**
 * Makes an upload wait for others between its slices: for the tabs that the same worker feeds, and for the GPU, since what
 * it has not taken yet is copied somewhere.
 */
export class UploadBackpressure {
  readonly #queue: Pick<GPUQueue, 'onSubmittedWorkDone'>;
  #inFlight = 0;

  constructor(queue: Pick<GPUQueue, 'onSubmittedWorkDone'>) {
    this.#queue = queue;
  }

  /**
   * Waits after a slice of so many bytes.
   *
   * @param written what the GPU was given of it, which nobody needs any more
   */
  async throttle(bytes: number, written: readonly { readonly buffer: ArrayBuffer }[]): Promise<void> {
    for (const { buffer } of written) freeBuffer(buffer);
    await yieldToEventLoop();
    this.#inFlight += bytes;
    if (this.#inFlight < MAX_BYTES_IN_FLIGHT) return;
    this.#inFlight = 0;
    await this.#queue.onSubmittedWorkDone();
  }
}
