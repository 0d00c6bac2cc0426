import type { StepCounters } from '../core/metrics.ts';
import type { Op, OpBuilder, StepShape } from './op.ts';
import type { PassTimer } from './pass-timer.ts';

/** The buffer with a step's result, a multiple of 4 bytes, and the staging buffer it is copied to. */
export interface Readback {
  readonly result: GPUBuffer;
  readonly staging: GPUBuffer;
  readonly stagingOffset: number;
}

/**
 * Records and submits steps, each with one encoder, one compute pass and one submit, and counts them. A timed step has
 * a pass for each dispatch.
 */
export class Recorder {
  readonly #builder: OpBuilder;
  readonly #bindGroupsBefore: number;
  #steps = 0;
  #dispatches = 0;
  #submits = 0;
  #bytesReadBack = 0;

  constructor(builder: OpBuilder) {
    this.#builder = builder;
    this.#bindGroupsBefore = builder.bindGroupsCreated;
  }

  /** Runs the ops in order, then copies the result. */
  submit(ops: readonly Op[], step: StepShape, { result, staging, stagingOffset }: Readback, timer?: PassTimer): void {
    const encoder = this.#builder.device.createCommandEncoder();
    this.#dispatches += timer === undefined ? encodePass(encoder, ops, step) : timer.encode(encoder, ops, step);
    encoder.copyBufferToBuffer(result, 0, staging, stagingOffset, result.size);
    this.#builder.device.queue.submit([encoder.finish()]);
    this.#steps++;
    this.#submits++;
    this.#bytesReadBack += result.size;
  }

  /** Sums since creation. */
  counters(): StepCounters {
    return {
      steps: this.#steps,
      dispatches: this.#dispatches,
      submits: this.#submits,
      bindGroupsCreated: this.#builder.bindGroupsCreated - this.#bindGroupsBefore,
      bytesReadBack: this.#bytesReadBack,
    };
  }
}

/** @returns the number of dispatches */
function encodePass(encoder: GPUCommandEncoder, ops: readonly Op[], step: StepShape): number {
  const pass = encoder.beginComputePass();
  let dispatches = 0;
  for (const op of ops) {
    const [x, y, z] = op.grid(step);
    if (x * y * z === 0) continue;
    pass.setPipeline(op.pipeline(step));
    pass.setBindGroup(0, op.bindGroup);
    pass.dispatchWorkgroups(x, y, z);
    dispatches++;
  }
  pass.end();
  return dispatches;
}
