import { type Gpu, openGpu } from '../../../src/gpu/device.ts';
import type { Bench } from './bench.ts';

/** The product's own probe of what an adapter can do. */
interface LimitsProbe {
  readonly probeLimits: (gpu: Gpu) => Promise<Readonly<Record<string, number | undefined>> & { readonly readGBps: number }>;
}

const [importProbe] = Object.values(import.meta.glob<LimitsProbe>('../../../src/gpu/limits-probe.ts'));

/** What the adapter can do at most; the parts after it compare with its speed of reading. */
export async function limitsPart(bench: Bench): Promise<void> {
  if (importProbe === undefined) {
    bench.report.omit('limits', 'adapter limits', 'this version has no probe of them');
    return;
  }
  const { probeLimits } = await importProbe();
  const opened = await openGpu(bench.gpu);
  try {
    const limits = await probeLimits(opened);
    bench.readCeiling = limits.readGBps;
    bench.report.limits(limits);
  } finally {
    opened.device.destroy();
  }
}
