import { freeBuffer } from '../core/free-buffer.ts';
import { yieldToEventLoop } from '../core/yield-to-event-loop.ts';

/** The most bytes written to the GPU's queue before the upload waits for it. */
const MAX_BYTES_IN_FLIGHT = 32 * 1024 * 1024;

/**
 * Makes an upload pause between its chunks: for the event loop, which serves the tabs, and for the GPU's queue, because
 * bytes that the GPU has not taken yet are held in memory.
 */
export class UploadBackpressure {
  readonly #queue: Pick<GPUQueue, 'onSubmittedWorkDone'>;
  #inFlight = 0;

  constructor(queue: Pick<GPUQueue, 'onSubmittedWorkDone'>) {
    this.#queue = queue;
  }

  /**
   * Waits after a chunk.
   *
   * @param bytes the size of the chunk
   * @param written the arrays that were written to the queue; they are freed
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
