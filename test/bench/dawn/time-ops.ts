import type { Gpu } from '../../../src/gpu/device.ts';
import type { Op, StepShape } from '../../../src/gpu/op.ts';
import type { Budget } from '../../../demo/bench/models/budget.ts';

/** The most dispatches of one timing. */
const MAX_DISPATCHES = 4000;

/**
 * Makes the adapters of `gpu` add timestamps to every device that is asked for, where they have them: what is measured
 * is then the device that the product opens.
 */
export function withTimestamps(gpu: GPU): GPU {
  return withDevices(gpu, (request, adapter) => async (descriptor = {}) => {
    if (!adapter.features.has('timestamp-query')) return request(descriptor);
    return request({ ...descriptor, requiredFeatures: [...(descriptor.requiredFeatures ?? []), 'timestamp-query'] });
  });
}

type RequestDevice = (descriptor?: GPUDeviceDescriptor) => Promise<GPUDevice>;

/** Makes the adapters of `gpu` answer requests for a device as `change` says. */
export function withDevices(gpu: GPU, change: (request: RequestDevice, adapter: GPUAdapter) => RequestDevice): GPU {
  const requestAdapter = async (options?: GPURequestAdapterOptions): Promise<GPUAdapter | null> => {
    const adapter = await gpu.requestAdapter(options);
    if (adapter === null) return null;
    Object.defineProperty(adapter, 'requestDevice', { value: change(adapter.requestDevice.bind(adapter), adapter) });
    return adapter;
  };
  const { wgslLanguageFeatures } = gpu;
  return { requestAdapter, wgslLanguageFeatures } as GPU;
}

/** How long kernels take: by a GPU's timestamps, else (`clock`) from the submit to its end. */
export class OpTimer {
  readonly clock: 'GPU' | 'wall';
  readonly #device: GPUDevice;
  readonly #queries: { readonly set: GPUQuerySet; readonly resolved: GPUBuffer; readonly staging: GPUBuffer } | undefined;

  constructor({ device, adapter }: Gpu) {
    this.#device = device;
    this.#queries = device.features.has('timestamp-query') && !adapter.isSoftware
      ? {
          set: device.createQuerySet({ type: 'timestamp', count: 2 }),
          resolved: device.createBuffer({ size: 16, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC }),
          staging: device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST }),
        }
      : undefined;
    this.clock = this.#queries === undefined ? 'wall' : 'GPU';
  }

  /**
   * Milliseconds of one round: as many rounds in one pass, one after the other, as take about `targetMs`.
   *
   * @returns `samples`, one a repetition, and of how many rounds each is the mean
   * @throws Error where WebGPU finds fault: what does not run is fast
   */
  async time(
    rounds: readonly (readonly Op[])[],
    shape: StepShape,
    { targetMs, repeats, budget }: { readonly targetMs: number; readonly repeats: number; readonly budget: Budget },
  ): Promise<{ readonly samples: readonly number[]; readonly roundsEach: number }> {
    const opsEach = rounds[0]?.length ?? 1;
    const most = Math.floor(MAX_DISPATCHES / opsEach);
    let next = 0; // each run goes on where the last one ended, so that it does not find what that left in caches
    const run = (count: number): Promise<number> =>
      this.#run(Array.from({ length: count }, () => rounds[next++ % rounds.length] ?? []).flat(), shape);
    await this.#device.queue.onSubmittedWorkDone(); // uploads
    this.#device.pushErrorScope('validation');
    await run(1); // slow the first time
    const fault = await this.#device.popErrorScope();
    if (fault !== null) throw new Error(fault.message);
    let count = 1;
    let elapsed = await run(count);
    while (elapsed < targetMs / 2 && count < most) {
      count = Math.min(most, Math.max(2 * count, Math.floor((count * targetMs) / Math.max(elapsed, 0.01) / 2)));
      elapsed = await run(count);
    }
    count = Math.min(most, Math.max(1, Math.round((count * targetMs) / elapsed)));
    const samples = await budget.repeat(repeats, async () => (await run(count)) / count);
    return { samples, roundsEach: count };
  }

  /** Milliseconds of the ops in one pass. */
  async #run(ops: readonly Op[], shape: StepShape): Promise<number> {
    const encoder = this.#device.createCommandEncoder();
    const queries = this.#queries;
    const pass = encoder.beginComputePass(
      queries && { timestampWrites: { querySet: queries.set, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 } },
    );
    for (const op of ops) {
      pass.setPipeline(op.pipeline(shape));
      pass.setBindGroup(0, op.bindGroup);
      pass.dispatchWorkgroups(...op.grid(shape));
    }
    pass.end();
    if (queries !== undefined) {
      encoder.resolveQuerySet(queries.set, 0, 2, queries.resolved, 0);
      encoder.copyBufferToBuffer(queries.resolved, 0, queries.staging, 0, 16);
    }
    const commands = encoder.finish();
    const start = performance.now();
    this.#device.queue.submit([commands]);
    if (queries === undefined) {
      await this.#device.queue.onSubmittedWorkDone();
      return performance.now() - start;
    }
    await queries.staging.mapAsync(GPUMapMode.READ);
    const [begin = 0n, end = 0n] = new BigUint64Array(queries.staging.getMappedRange());
    queries.staging.unmap();
    return Number(end - begin) / 1e6;
  }
}
