import type { AdapterSummary } from '../core/metrics.ts';

/** The public description of an adapter. It is a software adapter by its own flag, or by its name. */
export function summarizeAdapter(
  { info }: Pick<GPUAdapter, 'info'>,
  { hasSubgroups, isCompatibility }: { readonly hasSubgroups: boolean; readonly isCompatibility: boolean },
): AdapterSummary {
  const { vendor, architecture, device, description } = info;
  const name = `${vendor} ${architecture} ${device} ${description}`.toLowerCase();
  return {
    vendor,
    architecture,
    device,
    description,
    isSoftware: info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|basic render|warp/.test(name),
    ...(isCompatibility ? { isCompatibility } : {}),
    features: hasSubgroups ? ['subgroups'] : [],
  };
}
