import { openGpu } from '../../../src/gpu/device.ts';
import { probeLimits } from '../../../src/gpu/limits-probe.ts';
import type { Bench } from './bench.ts';

/** What the adapter can do at most; the parts after it compare with its speed of reading. */
export async function limitsPart(bench: Bench): Promise<void> {
  const opened = await openGpu(bench.gpu);
  try {
    const limits = await probeLimits(opened);
    bench.readCeiling = limits.readGBps;
    bench.report.limits(limits);
  } finally {
    opened.device.destroy();
  }
}
