import text from '../../shaders/f16-probe.wgsl?raw';
import { bindGroupLayout, compile, defineKernel } from './kernel.ts';

export const F16_PROBE = defineKernel({ name: 'f16-probe', bindings: { y: 'read_write' }, overrides: [] });

/** Resolves with true where shaders/dot/f16.wgsl can be compiled. Rejects where it cannot: Firefox has f16 without `bitcast` to it. */
export async function compilesF16(device: GPUDevice): Promise<boolean> {
  await compile(device, 'f16-probe', bindGroupLayout(device, F16_PROBE), [{ path: 'shaders/f16-probe.wgsl', text }], {});
  return true;
}
