import { type SerializedError, TabserveError } from '../core/errors.ts';
import type { StepCounters } from '../core/metrics.ts';
import { numPartialsOf } from '../core/partials.ts';
import type { ModelRunner, ModelRunnerOutput, SchedulerOutput } from '../core/scheduler-output.ts';
import { explainFailure, type Gpu } from '../gpu/device.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import { Recorder } from '../gpu/recorder.ts';
import type { DecoderState } from '../models/decoder.ts';
import type { StepLimits } from './decoder-state.ts';
import { SlotHistory } from './slot-history.ts';
import { type StepInputsLayout, StepPacker } from './step-inputs.ts';
import { StepProfiler } from './step-profiler.ts';

/** Only the request with these logits fails: rows share nothing but the weights. */
const NO_TOKEN: SerializedError = {
  code: 'internal',
  message: 'The GPU sampled no token: its logits are not numbers. Send the request again; if it fails again, report it.',
};

/** The parts of a runner, which does not own them. */
export interface GpuModelRunnerParts {
  readonly gpu: Gpu;
  readonly builder: OpBuilder;
  readonly ops: readonly Op[];
  readonly state: DecoderState;
  readonly inputs: GPUBuffer;
  /** Buffers for reading sampled ids back, one for each plan that may be in flight. */
  readonly staging: readonly GPUBuffer[];
  readonly layout: StepInputsLayout;
  readonly scheduler: StepLimits;
  /** The most rows of a request that one attention tile takes, by the kernels compiled so far. */
  readonly tileRows: () => number;
  readonly vocabSize: number;
}

/** Runs plans on the GPU: plan -> inputs -> dispatches -> sampled token ids. Creates nothing while it runs. */
export class GpuModelRunner implements ModelRunner {
  readonly state: DecoderState;
  readonly profiler: StepProfiler;
  readonly #parts: GpuModelRunnerParts;
  readonly #packer: StepPacker;
  readonly #history: SlotHistory;
  readonly #recorder: Recorder;
  /** The staging buffers that no plan in flight uses; the next one first. */
  readonly #freeStaging: GPUBuffer[];
  #fault: TabserveError | undefined;

  constructor(parts: GpuModelRunnerParts) {
    this.#parts = parts;
    this.state = parts.state;
    this.#packer = new StepPacker(parts.layout, parts.scheduler.blockSize, parts.tileRows);
    this.#history = new SlotHistory(parts.gpu.device.queue, parts.state, parts.vocabSize);
    this.#recorder = new Recorder(parts.builder);
    this.#freeStaging = [...parts.staging];
    this.profiler = new StepProfiler(parts.gpu, parts.ops);
    parts.gpu.device.addEventListener('uncapturederror', ({ error }) => {
      const code = error instanceof GPUOutOfMemoryError ? 'out_of_memory' : 'internal';
      this.#fault ??= new TabserveError(code, `The GPU reported an error: ${error.message}`);
    });
  }

  /**
   * Runs a plan's steps, with one submit each, before the call returns. Then reads all their sampled ids back at once.
   *
   * @throws TabserveError `device_lost`, `out_of_memory`, `closed` where the model is unloaded, or `internal`.
   */
  async execute(plan: SchedulerOutput): Promise<ModelRunnerOutput> {
    this.#check(plan);
    const staging = this.#freeStaging.shift();
    if (staging === undefined) throw new Error('more plans are in flight than the runner was built for');
    const { gpu, ops, inputs } = this.#parts;
    const { lastTokens } = this.state;
    this.#history.write(plan);
    for (let step = 0; step < plan.numSteps; step++) {
      const { words, shape } = this.#packer.pack(plan, step);
      gpu.device.queue.writeBuffer(inputs, 0, words);
      const readback = { result: lastTokens, staging, stagingOffset: step * lastTokens.size };
      this.#recorder.submit(ops, shape, readback, this.profiler.timerOf(shape));
    }
    await staging.mapAsync(GPUMapMode.READ).catch(async (cause: unknown) => {
      throw await explainFailure(gpu.lost, cause);
    });
    const ids = new Uint32Array(staging.getMappedRange().slice(0));
    staging.unmap();
    this.#freeStaging.push(staging);
    if (this.#fault !== undefined) throw this.#fault;
    return this.#sampled(plan, ids);
  }

  /** Totals of all steps so far. */
  counters(): StepCounters {
    return this.#recorder.counters();
  }

  #sampled(plan: SchedulerOutput, ids: Uint32Array): ModelRunnerOutput {
    const slots = this.state.lastTokens.size / 4;
    const sampledTokenIds = new Map<string, readonly number[]>();
    const failures = new Map<string, SerializedError>();
    for (const { requestId, slot, samples } of plan.requests) {
      if (!samples) continue;
      const tokenIds = Array.from({ length: plan.numSteps }, (_, step) => ids[step * slots + slot] ?? Infinity);
      if (tokenIds.every((id) => id < this.#parts.vocabSize)) sampledTokenIds.set(requestId, tokenIds);
      else failures.set(requestId, NO_TOKEN);
    }
    return { sampledTokenIds, failures };
  }

  #check(plan: SchedulerOutput): void {
    if (this.#fault !== undefined) throw this.#fault;
    const { maxNumBatchedTokens, maxNumSeqs, maxStepsPerPlan, splitTokens, maxNumPartials } = this.#parts.scheduler;
    const numPartials = plan.requests.reduce(
      (sum, { startPosition, tokenIds }) => sum + numPartialsOf(startPosition + plan.numSteps - 1, tokenIds.length, splitTokens),
      0,
    );
    const fits =
      numPartials <= maxNumPartials &&
      plan.totalNumScheduledTokens <= maxNumBatchedTokens &&
      plan.requests.length <= maxNumSeqs &&
      plan.numSteps <= maxStepsPerPlan;
    if (!fits) throw new Error('the plan is larger than the runner was built for');
  }
}
