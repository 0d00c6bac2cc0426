import type { Gpu } from './device.ts';
import { containErrors } from './error-scope.ts';
import type { Op, StepShape } from './op.ts';

/** The timestamps of one step. */
export interface TimedStep {
  readonly shape: StepShape;
  /** The indices of the ops that had work, in order. */
  readonly dispatched: readonly number[];
  /** The begin and end of each of them, alternating: nanoseconds of the GPU's clock. */
  readonly times: BigUint64Array;
}

const TIMESTAMP_BYTES = 8;
/** The alignment of the buffer offset that a query set is resolved to. */
const RESOLVE_ALIGNMENT = 256;

/** Encodes steps with one pass for each dispatch, between two timestamps. */
export class PassTimer {
  readonly #gpu: Gpu;
  readonly #steps: { readonly shape: StepShape; readonly dispatched: readonly number[] }[] = [];
  readonly #maxSteps: number;
  readonly #querySet: GPUQuerySet;
  readonly #stepBytes: number;
  readonly #resolved: GPUBuffer;
  readonly #staging: GPUBuffer;

  private constructor(gpu: Gpu, numOps: number, maxSteps: number) {
    const { device } = gpu;
    const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    this.#gpu = gpu;
    this.#maxSteps = maxSteps;
    this.#stepBytes = Math.ceil((2 * numOps * TIMESTAMP_BYTES) / RESOLVE_ALIGNMENT) * RESOLVE_ALIGNMENT;
    const size = maxSteps * this.#stepBytes;
    this.#querySet = device.createQuerySet({ label: 'profile', type: 'timestamp', count: 2 * numOps });
    this.#resolved = device.createBuffer({ label: 'profile', size, usage: QUERY_RESOLVE | COPY_SRC });
    this.#staging = device.createBuffer({ label: 'profile', size, usage: COPY_DST | MAP_READ });
  }

  /**
   * Creates a timer for steps of at most `numOps` ops. The device needs `timestamp-query`.
   *
   * @throws TabserveError `out_of_memory`, `internal`
   */
  static async create(gpu: Gpu, numOps: number, maxSteps: number): Promise<PassTimer> {
    return containErrors(gpu, (contain) => contain(() => new PassTimer(gpu, numOps, maxSteps)));
  }

  get numSteps(): number {
    return this.#steps.length;
  }

  get isFull(): boolean {
    return this.#steps.length === this.#maxSteps;
  }

  /** Encodes a step. @returns the number of its dispatches */
  encode(encoder: GPUCommandEncoder, ops: readonly Op[], shape: StepShape): number {
    const dispatched: number[] = [];
    for (const [index, op] of ops.entries()) {
      const [x, y, z] = op.grid(shape);
      if (x * y * z === 0) continue;
      const query = 2 * dispatched.length;
      const pass = encoder.beginComputePass({
        timestampWrites: { querySet: this.#querySet, beginningOfPassWriteIndex: query, endOfPassWriteIndex: query + 1 },
      });
      pass.setPipeline(op.pipeline(shape));
      pass.setBindGroup(0, op.bindGroup);
      pass.dispatchWorkgroups(x, y, z);
      pass.end();
      dispatched.push(index);
    }
    const offset = this.#steps.length * this.#stepBytes;
    encoder.resolveQuerySet(this.#querySet, 0, 2 * dispatched.length, this.#resolved, offset);
    this.#steps.push({ shape, dispatched });
    return dispatched.length;
  }

  /**
   * The timestamps of the steps so far, once the GPU has completed them.
   * @throws TabserveError `device_lost`, `internal`
   */
  async read(): Promise<readonly TimedStep[]> {
    const { device } = this.#gpu;
    return containErrors(this.#gpu, async (contain) => {
      const { mapped } = contain(() => {
        const encoder = device.createCommandEncoder();
        encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, this.#steps.length * this.#stepBytes);
        device.queue.submit([encoder.finish()]);
        return { mapped: this.#staging.mapAsync(GPUMapMode.READ) };
      });
      await mapped;
      const bytes = this.#staging.getMappedRange().slice(0);
      return this.#steps.map((step, i) => {
        const times = new BigUint64Array(bytes, i * this.#stepBytes, 2 * step.dispatched.length);
        return { ...step, times };
      });
    });
  }

  destroy(): void {
    this.#querySet.destroy();
    this.#resolved.destroy();
    this.#staging.destroy();
  }
}
