import type { AdapterSummary } from '../core/metrics.ts';

/** What is told of an adapter, and whether the CPU stands in for a GPU: by its own word, or by its name. */
export function summarizeAdapter({ info }: Pick<GPUAdapter, 'info'>, hasSubgroups: boolean): AdapterSummary {
  const { vendor, architecture, device, description } = info;
  const name = `${vendor} ${architecture} ${device} ${description}`.toLowerCase();
  return {
    vendor,
    architecture,
    device,
    description,
    isSoftware: info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|basic render|warp/.test(name),
    features: hasSubgroups ? ['subgroups'] : [],
  };
}
