/** What an adapter can do at most, measured on it. */
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
