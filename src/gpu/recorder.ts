import type { StepCounters } from '../core/metrics.ts';
import type { Op, OpBuilder, StepShape } from './op.ts';

/** Records and submits steps: one encoder, one compute pass and one submit each; and counts what it does. */
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

  /** Runs the ops in order, then copies `result` (a multiple of 4 bytes) to `staging` for reading back. */
  submit(ops: readonly Op[], step: StepShape, result: GPUBuffer, staging: GPUBuffer, stagingOffset: number): void {
    const encoder = this.#builder.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const op of ops) {
      const [x, y, z] = op.grid(step);
      if (x * y * z === 0) continue;
      pass.setPipeline(op.pipeline(step));
      pass.setBindGroup(0, op.bindGroup);
      pass.dispatchWorkgroups(x, y, z);
      this.#dispatches++;
    }
    pass.end();
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
