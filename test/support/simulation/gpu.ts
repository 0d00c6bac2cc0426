import { kvCacheDtypeOf } from '../../../src/core/kv-cache-dtype.ts';
import { TabserveError } from '../../../src/core/errors.ts';
import type { ModelRunner } from '../../../src/core/scheduler-output.ts';
import { readModelConfig } from '../../../src/models/architectures.ts';
import type { GpuNeed } from '../../../src/runner/gpu-budget.ts';
import type { LoadRunnerOptions } from '../../../src/runner/load-runner.ts';
import type { ModelLoaderOptions } from '../../../src/worker/load-model.ts';
import { noProfiler } from '../fake-profiler.ts';
import { lettersAfter } from '../letters.ts';

type Gate = (label: string) => Promise<void>;
type LoadRunner = ModelLoaderOptions['loadRunner'];

/** Every model wants this much of the GPU; two fit. */
export const MODEL_BYTES = 40;
const NEED: GpuNeed = { minBytes: MODEL_BYTES, enoughBytes: MODEL_BYTES, wantedBytes: MODEL_BYTES, budgetBytes: 100 };
const ADAPTER = { vendor: 'fake', architecture: '', device: '', description: '', isSoftware: true, features: [] };

/** A device, and who opened it. */
interface Device {
  readonly owner: object;
  bytes: number;
  readonly lose: (error: TabserveError) => void;
}

/**
 * A GPU that counts: the owners of devices, and their memory. It records violations: devices of two workers at a time,
 * a device without the lease, more memory than there is.
 */
export class SimulatedGpu {
  /** How long what a load had takes to be free again, in gates. */
  slowness = 0;
  /** Whether the browser offers an adapter. */
  hasAdapter = true;
  /** Whether it refuses memory that the budget grants. */
  isFull = false;
  readonly violations = new Set<string>();
  readonly #devices = new Set<Device>();
  readonly #hasLease: (owner: object) => boolean;

  constructor(hasLease: (owner: object) => boolean) {
    this.#hasLease = hasLease;
  }

  get numDevices(): number {
    return this.#devices.size;
  }

  /** A fake of `loadRunner` with a gate wherever it waits, and tokens that depend on all of its inputs. */
  loaderFor(owner: object, gate: Gate): LoadRunner {
    return async (options) => {
      await gate('adapter');
      if (!this.hasAdapter) throw new TabserveError('webgpu_unavailable', 'No adapter is offered.');
      await gate('device');
      let lose: (error: TabserveError) => void = () => {};
      const lost = new Promise<TabserveError>((resolve) => (lose = resolve));
      const device: Device = { owner, bytes: 0, lose };
      this.#devices.add(device);
      const destroy = (): void => {
        if (this.#devices.delete(device)) lose(new TabserveError('closed', 'destroyed'));
      };
      try {
        await this.#fill(device, options, gate);
      } catch (error) {
        for (let i = 0; i < this.slowness; i++) await gate('memory given back');
        destroy();
        throw error;
      }
      const alive = async (label: string): Promise<void> => {
        await gate(label);
        if (!this.#devices.has(device)) throw new TabserveError('device_lost', 'The device is gone.');
      };
      return {
        ...partsOf(options, alive),
        lost,
        gpuBytes: MODEL_BYTES,
        loseDevice: destroy,
        destroy,
      };
    };
  }

  /** As when the worker dies. */
  end(owner: object): void {
    for (const device of this.#devices) if (device.owner === owner) this.#devices.delete(device);
  }

  /** As when the GPU process crashes: whoever has a device learns of it. */
  crash(): void {
    for (const device of this.#devices) {
      this.#devices.delete(device);
      device.lose(new TabserveError('device_lost', 'The GPU process crashed.'));
    }
  }

  /** Looks for violations. */
  check(): void {
    const owners = new Set([...this.#devices].map(({ owner }) => owner));
    if (owners.size > 1) this.violations.add('two workers have a device');
    for (const owner of owners) if (!this.#hasLease(owner)) this.violations.add('a device without the lease');
    const bytes = [...this.#devices].reduce((sum, device) => sum + device.bytes, 0);
    if (bytes > NEED.budgetBytes) this.violations.add(`${bytes} of ${NEED.budgetBytes} bytes are taken`);
  }

  async #fill(device: Device, { file, reserve, onStage, signal }: LoadRunnerOptions, gate: Gate): Promise<void> {
    device.bytes = (await reserve?.(NEED)) ?? MODEL_BYTES;
    await gate('buffers');
    if (this.isFull) throw new TabserveError('out_of_memory', 'The GPU refuses memory.');
    onStage?.('load');
    for (const { offset, byteLength } of file.tensors) {
      await file.source.read(offset, byteLength);
      await gate('slice uploaded');
    }
    onStage?.('compile');
    await gate('compiled');
    signal?.throwIfAborted();
    if (!this.#devices.has(device)) throw new TabserveError('device_lost', 'The device is gone.');
  }
}

function partsOf({ file, kvCacheDtype, numerics = 'f32', blockTransfer }: LoadRunnerOptions, gate: Gate) {
  const runner: ModelRunner = {
    execute: async (plan) => {
      await gate('step');
      return lettersAfter(plan);
    },
  };
  const transfer = {
    blockBytes: 8,
    read: async () => {
      await gate('block read');
      return new Uint8Array(8);
    },
    write: () => gate('block written'),
  };
  return {
    runner,
    config: readModelConfig(file),
    scheduler: {
      blockSize: 4, numBlocks: 64, maxNumBatchedTokens: 64, maxNumSeqs: 4, maxModelLen: 256, maxStepsPerPlan: 1,
    },
    adapter: ADAPTER,
    kvCacheDtype: kvCacheDtypeOf(kvCacheDtype, true),
    numerics,
    kvCacheBytes: 4096,
    deferredKernels: [{ tokens: 8, numMissed: Infinity, compile: () => gate('deferred kernel') }],
    blockTransfer: blockTransfer === true ? transfer : undefined,
    profiler: noProfiler,
    counters: () => ({ steps: 0, dispatches: 0, submits: 0, bindGroupsCreated: 0, bytesReadBack: 0 }),
  };
}
