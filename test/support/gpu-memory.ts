import type { Gpu } from '../../src/gpu/device.ts';
import { sharedGpu } from './shared-gpu.ts';

/** The memory of a test's GPU. */
export interface MemoryLimits {
  /** Bytes of live buffers, beyond which an allocation is refused as WebGPU refuses it: in its error scope. */
  readonly budget?: number;
  /** The device's `maxBufferSize` and `maxStorageBufferBindingSize`. */
  readonly maxBytes?: number;
}

/** A real device, the test file's, that counts the bytes of its buffers, and has only so much of them. */
export interface MeteredGpu {
  readonly gpu: Gpu;
  /** Bytes of buffers that are not destroyed. */
  live(): number;
  /** Labels of the buffers that were refused. */
  readonly refused: readonly string[];
}

export async function openMeteredGpu({ budget = Infinity, maxBytes }: MemoryLimits = {}): Promise<MeteredGpu> {
  const { device, ...gpu } = await sharedGpu();
  const refused: string[] = [];
  let live = 0;
  const scopes: { readonly filter: GPUErrorFilter; error: GPUError | undefined }[] = [];
  const pushErrorScope = (filter: GPUErrorFilter): undefined => {
    scopes.push({ filter, error: undefined });
    return device.pushErrorScope(filter);
  };
  const popErrorScope = async (): Promise<GPUError | null> => {
    const error = scopes.pop()?.error;
    return device.popErrorScope().then((real) => error ?? real);
  };
  const createBuffer = (descriptor: GPUBufferDescriptor): GPUBuffer => {
    const { label = '', size } = descriptor;
    const isRefused = live + size > budget;
    if (isRefused) {
      refused.push(label);
      const scope = scopes.findLast(({ filter }) => filter === 'out-of-memory');
      if (scope === undefined) throw new Error(`${label} is allocated outside an out-of-memory scope`);
      scope.error ??= new GPUOutOfMemoryError(`the test's GPU has ${budget - live} bytes left`);
    }
    // One that is refused is not used; what stands for it is as small as can be.
    const buffer = device.createBuffer(isRefused ? { ...descriptor, size: 16 } : descriptor);
    let held = isRefused ? 0 : size;
    live += held;
    const destroy = buffer.destroy.bind(buffer);
    buffer.destroy = () => {
      live -= held;
      held = 0;
      return destroy();
    };
    return buffer;
  };
  const limits = maxBytes === undefined ? {} : { limits: { maxBufferSize: maxBytes, maxStorageBufferBindingSize: maxBytes } };
  const metered = instead(device, { pushErrorScope, popErrorScope, createBuffer, ...limits });
  return { gpu: { ...gpu, device: metered }, live: () => live, refused };
}

/** The device with some of its members replaced. */
function instead(device: GPUDevice, own: Readonly<Record<string, unknown>>): GPUDevice {
  return new Proxy(device, {
    get: (target, name) => {
      if (typeof name === 'string' && name in own) return own[name];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
