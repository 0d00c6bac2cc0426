import { inject } from 'vitest';
import type { Numerics } from '../../src/core/numerics.ts';
import { type Gpu, openGpu } from '../../src/gpu/device.ts';
import { withoutCore } from './compatibility-mode.ts';

const shared = new Map<Numerics, Promise<Gpu>>();

/**
 * One device for all that a test file loads: browsers keep the pipelines of a device for as long as anybody holds them, and
 * on a software adapter compiling is most of a test. It cannot be destroyed; a test that loses its device opens its own.
 */
export function sharedGpu(numerics: Numerics = 'f32'): Promise<Gpu> {
  const open = shared.get(numerics) ?? openShared(numerics);
  shared.set(numerics, open);
  return open;
}

async function openShared(numerics: Numerics): Promise<Gpu> {
  const gpu = await openGpu(inject('isCompatibility') ? withoutCore() : undefined, numerics);
  const { device } = gpu;
  const held: GPUComputePipeline[] = [];
  const compile = device.createComputePipelineAsync.bind(device);
  device.createComputePipelineAsync = async (descriptor) => {
    const pipeline = await compile(descriptor);
    held.push(pipeline);
    return pipeline;
  };
  device.destroy = () => undefined;
  return gpu;
}
