import { sharedGpu } from './shared-gpu.ts';

/** A mistake of a driver's compiler: in a kernel, by the start of its name, some text becomes another. */
export interface PlantedFault {
  readonly kernel: string;
  readonly from: string | RegExp;
  readonly to: string;
}

/** Each split's part of a row's attention counts as if its scores were those of the largest. */
export const UNSCALED_SPLITS: PlantedFault = { kernel: 'attention-merge', from: 'exp(max_and_sum.x - highest)', to: '1.0' };

/** From now on the file's shared device compiles kernels with this fault. Returns how many it has changed, and its end. */
export async function plantFault({ kernel, from, to }: PlantedFault): Promise<{ changed: () => number; end: () => void }> {
  const { device } = await sharedGpu();
  const original = device.createShaderModule.bind(device);
  let changed = 0;
  device.createShaderModule = (descriptor) => {
    const isMeant = descriptor.label?.startsWith(`${kernel} `) === true;
    const code = isMeant ? descriptor.code.replaceAll(from, to) : descriptor.code;
    if (code !== descriptor.code) changed++;
    return original({ ...descriptor, code });
  };
  return { changed: () => changed, end: () => (device.createShaderModule = original) };
}
