import { type Gpu, openGpu } from '../../src/gpu/device.ts';

/** What a test's GPU has to give. */
export interface MemoryLimits {
  /** Bytes of live buffers, beyond which an allocation is refused as WebGPU refuses it: in its error scope. */
  readonly budget?: number;
  /** The device's `maxBufferSize` and `maxStorageBufferBindingSize`. */
  readonly maxBytes?: number;
}

/** A real device that counts the bytes of its buffers, and has only so much of them. */
export interface MeteredGpu {
  readonly gpu: Gpu;
  /** Bytes of buffers that are not destroyed. */
  live(): number;
  /** Labels of the buffers that were refused. */
  readonly refused: readonly string[];
}

export async function openMeteredGpu({ budget = Infinity, maxBytes }: MemoryLimits = {}): Promise<MeteredGpu> {
  const gpu = await openGpu();
  const { device } = gpu;
  const refused: string[] = [];
  let live = 0;
  if (maxBytes !== undefined) {
    const limits = { maxBufferSize: maxBytes, maxStorageBufferBindingSize: maxBytes };
    Object.defineProperty(device, 'limits', { value: limits });
  }
  const scopes: { readonly filter: GPUErrorFilter; error: GPUError | undefined }[] = [];
  const createBuffer = device.createBuffer.bind(device);
  const push = device.pushErrorScope.bind(device);
  const pop = device.popErrorScope.bind(device);
  device.pushErrorScope = (filter) => {
    scopes.push({ filter, error: undefined });
    return push(filter);
  };
  device.popErrorScope = async () => {
    const error = scopes.pop()?.error;
    return pop().then((real) => error ?? real);
  };
  device.createBuffer = (descriptor) => {
    const { label = '', size } = descriptor;
    const isRefused = live + size > budget;
    if (isRefused) {
      refused.push(label);
      const scope = scopes.findLast(({ filter }) => filter === 'out-of-memory');
      if (scope === undefined) throw new Error(`${label} is allocated outside an out-of-memory scope`);
      scope.error ??= new GPUOutOfMemoryError(`the test's GPU has ${budget - live} bytes left`);
    }
    // One that is refused is not used; what stands for it is as small as can be.
    const buffer = createBuffer(isRefused ? { ...descriptor, size: 16 } : descriptor);
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
  return { gpu, live: () => live, refused };
}
