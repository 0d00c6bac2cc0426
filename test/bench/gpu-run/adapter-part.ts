import { openGpu } from '../../../src/gpu/device.ts';
import { limitsPart } from '../dawn/limits-part.ts';
import type { RunBench } from './plan.ts';

/** The adapter's features and limits, and its peak rates. */
export async function adapterPart(bench: RunBench): Promise<void> {
  const adapter = await bench.gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) throw new Error('there is no adapter any more');
  const { device, supportedNumerics, hasSubgroups } = await openGpu(bench.gpu, 'f16');
  device.destroy();
  const { vendor, architecture, device: name, description, subgroupMinSize, subgroupMaxSize } = adapter.info;
  bench.report.facts('adapter', {
    vendor, architecture, device: name, description, subgroupMinSize, subgroupMaxSize, hasSubgroups, supportedNumerics,
    features: [...adapter.features].toSorted(),
    languageFeatures: [...bench.gpu.wgslLanguageFeatures].toSorted(),
    limits: limitsOf(adapter.limits),
  });
  await limitsPart(bench);
}

/** Its numbers are accessors of its class. */
function limitsOf(limits: GPUSupportedLimits): Readonly<Record<string, number>> {
  const all: Record<string, number> = {};
  for (const name in limits) {
    const value: unknown = limits[name as keyof GPUSupportedLimits];
    if (typeof value === 'number') all[name] = value;
  }
  return all;
}
