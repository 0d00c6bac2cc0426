import text from '../../shaders/quad-probe.wgsl?raw';
import { bindGroupLayout, compile, defineKernel } from './kernel.ts';

export const QUAD_PROBE = defineKernel({ name: 'quad-probe', bindings: { agrees: 'read_write' }, overrides: [] });

const WORKGROUPS = 4;
const LANES = 64;

/** Whether neighbouring lanes form quads. The subgroup matmul relies on it, and WGSL does not specify it. */
export async function formsQuads(device: GPUDevice): Promise<boolean> {
  const layout = bindGroupLayout(device, QUAD_PROBE);
  const pipeline = await compile(device, 'quad-probe', layout, [{ path: 'shaders/quad-probe.wgsl', text }], {});
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const size = WORKGROUPS * LANES * 4;
  const agrees = device.createBuffer({ size, usage: STORAGE | COPY_SRC });
  const staging = device.createBuffer({ size, usage: COPY_DST | MAP_READ });
  try {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer: agrees } }] }));
    pass.dispatchWorkgroups(WORKGROUPS);
    pass.end();
    encoder.copyBufferToBuffer(agrees, 0, staging, 0, size);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    return new Uint32Array(staging.getMappedRange()).every((agreed) => agreed === 1);
  } finally {
    agrees.destroy();
    staging.destroy();
  }
}
