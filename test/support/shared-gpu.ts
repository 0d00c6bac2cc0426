import { type Gpu, openGpu } from '../../src/gpu/device.ts';

let shared: Promise<Gpu> | undefined;

/**
 * One device for all that a test file loads: browsers keep the pipelines of a device for as long as anybody holds them, and
 * on a software adapter compiling them is most of a load. It cannot be destroyed; what loses its device needs its own.
 */
export function sharedGpu(): Promise<Gpu> {
  return (shared ??= openShared());
}

async function openShared(): Promise<Gpu> {
  const gpu = await openGpu();
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
