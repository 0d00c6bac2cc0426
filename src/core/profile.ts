import type { AdapterSummary } from './metrics.ts';

/** An adapter's peak rates, measured on it. */
export interface AdapterLimits {
  /** Reading a storage buffer in order, in GB/s. */
  readonly readGBps: number;
  /** Bytes of the buffer that was read; where caches are as large, they are in the figure. */
  readonly readBytes: number;
  /** f32 multiply-adds, two operations each, in GFLOP/s. */
  readonly f32Gflops: number;
  /** Likewise f16; undefined where the device has no `shader-f16`. */
  readonly f16Gflops: number | undefined;
  /** `dot4I8Packed`, eight operations each, in GOP/s; undefined where WGSL has no such function here. */
  readonly int8Gops: number | undefined;
  /** Microseconds that a dispatch with next to no work takes, each after the one before it, in one pass. */
  readonly dispatchUs: number;
  /** Microseconds from encoding such a dispatch to its end, one submit each, many under way. */
  readonly submitUs: number;
  /** Milliseconds to read 4 bytes back from an idle GPU: copy, submit, map; the median. */
  readonly readbackMs: number;
}

/** Which steps: those in which every request decodes, or those that feed a prompt's chunk, whatever decodes beside it. */
export type ProfilePhase = 'decode' | 'prefill';

/** Options of a profile. */
export interface ProfileOptions {
  /** How many steps, 1 to 100. @default 8 */
  readonly steps?: number;
  /** @default decode */
  readonly phase?: ProfilePhase;
  /** Milliseconds to wait for each next such step. @default 10,000 */
  readonly timeoutMs?: number;
}

/** The work of one kernel in a step, averaged over the steps; all its dispatches together. */
export interface KernelProfile {
  readonly name: string;
  /** Dispatches. */
  readonly calls: number;
  /** Milliseconds on the GPU. */
  readonly ms: number;
  /** Of all kernels' time, from 0 to 1. */
  readonly share: number;
  /** The least bytes to move: weights, KV and activations once each; undefined where the kernel does not state it. */
  readonly bytes: number | undefined;
  /** Multiply-adds. */
  readonly macs: number | undefined;
  /** GB/s and GFLOP/s (two a multiply-add); undefined where the time is 0, too. */
  readonly gbps: number | undefined;
  readonly gflops: number | undefined;
  /** How near it comes to what the adapter can do, see {@link ceilingShare}; undefined while that is not measured. */
  readonly ofCeiling: number | undefined;
}

/** One dispatch of a step. */
export interface DispatchProfile {
  /** Its kernel's. */
  readonly name: string;
  /** The decoder's layer, from 0; undefined outside. */
  readonly layer: number | undefined;
  /** Milliseconds on the GPU, on average over the steps. */
  readonly ms: number;
}

/**
 * Where the GPU's time goes in a step, averaged over some. Each dispatch ran in a pass of its own, between two timestamps:
 * steps that are not profiled overlap what can overlap, and are faster.
 */
export interface StepProfile {
  readonly adapter: AdapterSummary;
  /** Undefined while not measured: see `client.limits()`. */
  readonly limits: AdapterLimits | undefined;
  readonly phase: ProfilePhase;
  /** How many steps were profiled: fewer than asked for where there were no more. */
  readonly steps: number;
  /** Tokens fed in a step, on average. */
  readonly rows: number;
  /** Milliseconds of all kernels in a step. */
  readonly ms: number;
  /** Milliseconds from a step's first timestamp to its last, on average: what lies between the passes is in it. */
  readonly spanMs: number;
  /**
   * The unit that all timestamps are multiples of, in microseconds; 0 where it is unknown. Browsers make timestamps
   * coarse: the time of a kernel below it is only right on average over many dispatches.
   */
  readonly resolutionUs: number;
  /** Dispatches whose two timestamps contradict each other: they are in no time. */
  readonly lostSpans: number;
  /** Those that take longest first. */
  readonly kernels: readonly KernelProfile[];
  /** In a step's order. */
  readonly dispatches: readonly DispatchProfile[];
}

/**
 * How near a kernel comes to the nearer of two ceilings, reading memory and computing in f32; 1 is there. It can be more:
 * what caches hold need not be read.
 */
export function ceilingShare(
  { gbps = 0, gflops = 0 }: Pick<KernelProfile, 'gbps' | 'gflops'>,
  limits: AdapterLimits | undefined,
): number | undefined {
  if (limits === undefined || (gbps === 0 && gflops === 0)) return undefined;
  return Math.max(gbps / limits.readGBps, gflops / limits.f32Gflops);
}

/** Looks at what the GPU does, when it is asked to. */
export interface Profiler {
  /**
   * @param limits those that were measured before
   * @throws TabserveError `profiling_unavailable`, `deadline_exceeded` where no such step came, `out_of_memory`, `internal`
   */
  profile(options: Required<ProfileOptions>, limits: AdapterLimits | undefined): Promise<StepProfile>;
  /** Nothing else may run meanwhile. @throws TabserveError `out_of_memory`, `internal` */
  measureLimits(): Promise<AdapterLimits>;
}
