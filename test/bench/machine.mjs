// @ts-check
import { availableParallelism, cpus, loadavg, release, type } from 'node:os';

/** Above this much load for each core, others' work shows in the figures. */
const BUSY = 0.5;

/** What is measured on; to be asked before the bench loads it. */
export function machineFacts() {
  return {
    os: `${type()} ${release()}`,
    cpu: `${cpus()[0]?.model ?? 'unknown'} x ${cpus().length}`,
    cores: availableParallelism(),
    loadAverage: loadavg()[0] ?? 0,
  };
}

/** What a load average before the start says against a run; undefined: nothing.
 * @param {{ loadAverage: number | null, cores: number }} machine */
export function busyCaveat({ loadAverage, cores }) {
  if (loadAverage === null || !(loadAverage / cores > BUSY)) return undefined;
  return `the machine is busy: load average ${loadAverage.toFixed(2)} on ${cores} cores before the start`;
}
