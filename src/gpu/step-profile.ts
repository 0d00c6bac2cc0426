import type { AdapterSummary } from '../core/metrics.ts';
import { type AdapterLimits, ceilingShare, type KernelProfile, type ProfilePhase, type StepProfile } from '../core/profile.ts';
import type { Op, OpCost } from './op.ts';
import type { TimedStep } from './pass-timer.ts';

/** The facts that a profile reports beside its times. */
export interface ProfileSubject {
  readonly adapter: AdapterSummary;
  readonly limits: AdapterLimits | undefined;
  readonly phase: ProfilePhase;
}

/** The times of one op over all steps. */
interface OpTimes {
  readonly op: Op;
  /** The number of steps in which it had work. */
  calls: number;
  /** The sum of its valid spans in milliseconds, and their number. */
  ms: number;
  spans: number;
  readonly costs: (OpCost | undefined)[];
}

/**
 * Averages one or more timed steps. A span of 0 counts, because coarse timestamps round others up as often. A span that
 * contradicts itself or was not written does not count: the op's other spans stand in for it.
 */
export function profileOf(ops: readonly Op[], steps: readonly TimedStep[], subject: ProfileSubject): StepProfile {
  const times = ops.map((op): OpTimes => ({ op, calls: 0, ms: 0, spans: 0, costs: [] }));
  let lostSpans = 0;
  let spanMs = 0;
  for (const step of steps) {
    const kept = keptSpans(step);
    lostSpans += step.dispatched.length - kept.length;
    const [begin, end] = [Math.min(...kept.map((span) => span.begin)), Math.max(...kept.map((span) => span.end))];
    spanMs += Math.max(0, end - begin);
    for (const index of step.dispatched) {
      const op = times[index];
      if (op === undefined) continue;
      op.calls++;
      op.costs.push(op.op.cost?.(step.shape));
    }
    for (const { index, begin: from, end: to } of kept) {
      const op = times[index];
      if (op === undefined) continue;
      op.ms += to - from;
      op.spans++;
    }
  }
  const dispatched = times.filter(({ calls }) => calls > 0);
  const ms = dispatched.reduce((sum, each) => sum + meanMs(each, steps.length), 0);
  return {
    ...subject,
    steps: steps.length,
    rows: steps.reduce((sum, { shape }) => sum + shape.tokens, 0) / steps.length,
    ms,
    spanMs: spanMs / steps.length,
    resolutionUs: resolutionUs(steps),
    lostSpans,
    kernels: kernelsOf(dispatched, steps.length, ms, subject.limits),
    dispatches: dispatched.map((each) => ({
      name: each.op.name,
      layer: each.op.layer,
      ms: meanMs(each, steps.length),
    })),
  };
}

interface Span {
  /** The op's index. */
  readonly index: number;
  /** Milliseconds after the step's earliest timestamp. */
  readonly begin: number;
  readonly end: number;
}

/** The valid spans of a step: both timestamps are written, and the end does not precede the begin. */
function keptSpans({ dispatched, times }: TimedStep): readonly Span[] {
  const written = times.filter((time) => time > 0n);
  const first = written.reduce((least, time) => (time < least ? time : least), written[0] ?? 0n);
  const ms = (time: bigint): number => Number(time - first) / 1e6;
  return dispatched.flatMap((index, i) => {
    const [begin = 0n, end = 0n] = times.subarray(2 * i, 2 * i + 2);
    return begin === 0n || end < begin ? [] : [{ index, begin: ms(begin), end: ms(end) }];
  });
}

/** The mean over all steps, including those in which the op had no work. */
function meanMs({ calls, ms, spans }: OpTimes, steps: number): number {
  return spans === 0 ? 0 : ((ms / spans) * calls) / steps;
}

function kernelsOf(
  times: readonly OpTimes[],
  steps: number,
  totalMs: number,
  limits: AdapterLimits | undefined,
): readonly KernelProfile[] {
  const names = new Set(times.map(({ op }) => op.name));
  const kernels = Array.from(names, (name): KernelProfile => {
    const ofKernel = times.filter(({ op }) => op.name === name);
    const ms = ofKernel.reduce((sum, each) => sum + meanMs(each, steps), 0);
    const cost = meanCost(ofKernel.flatMap(({ costs }) => costs), steps);
    const perSecond = (amount: number | undefined): number | undefined =>
      amount === undefined || ms === 0 ? undefined : amount / (ms * 1e6);
    const gbps = perSecond(cost?.bytes);
    const gflops = perSecond(cost && 2 * cost.macs);
    return {
      name,
      calls: ofKernel.reduce((sum, { calls }) => sum + calls, 0) / steps,
      ms,
      share: totalMs === 0 ? 0 : ms / totalMs,
      bytes: cost?.bytes,
      macs: cost?.macs,
      gbps,
      gflops,
      ofCeiling: ceilingShare({ gbps, gflops }, limits),
    };
  });
  return kernels.toSorted((a, b) => b.ms - a.ms);
}

/** The mean over all steps; undefined where a dispatch does not report its cost. */
function meanCost(costs: readonly (OpCost | undefined)[], steps: number): OpCost | undefined {
  const known = costs.filter((cost) => cost !== undefined);
  if (known.length < costs.length) return undefined;
  const mean = (of: (cost: OpCost) => number): number => known.reduce((sum, cost) => sum + of(cost), 0) / steps;
  return { bytes: mean(({ bytes }) => bytes), macs: mean(({ macs }) => macs) };
}

/** The largest unit of which all timestamps are multiples. */
function resolutionUs(steps: readonly TimedStep[]): number {
  let divisor = 0n;
  for (const { times } of steps) for (const time of times) divisor = greatestCommonDivisor(time, divisor);
  return Number(divisor) / 1000;
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  return b === 0n ? a : greatestCommonDivisor(b, a % b);
}
