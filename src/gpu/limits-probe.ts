import type { AdapterLimits } from '../core/profile.ts';
import { TabserveError } from '../core/errors.ts';
import { BufferPool } from './buffers.ts';
import type { Contain } from './contain.ts';
import type { Gpu } from './device.ts';
import { containErrors } from './error-scope.ts';
import { OpBuilder } from './op.ts';
import {
  arithmeticProbe, type ProbeNumber, type ProbeOp, READ_BYTES_PER_GROUP, readBuffers, readProbe, submit, tickProbe,
} from './probe-kernels.ts';
import { MIN_RUN_MS, Stopwatch } from './stopwatch.ts';

const MIB = 2 ** 20;
const FIRST_READ_BYTES = 16 * MIB;
const MAX_READ_BYTES = 1024 * MIB;
/** A share of the largest buffer that the device allows, since the model's buffers are allocated too. */
const MAX_READ_SHARE = 0.25;

/** Workgroups of the smallest arithmetic dispatch, and the most along one axis of a grid. */
const FIRST_GROUPS = 8;
const MAX_GROUPS = 32_768;
const MAX_DISPATCHES = 20_000;
const MAX_SUBMITS = 500;
const READBACKS = 15;

/**
 * Measures the adapter's peak rates in a second or two. Nothing else should use the GPU meanwhile. The work grows until
 * it takes long enough to be timed. It needs a buffer of up to 1 GiB, or a quarter of the largest allowed.
 *
 * @throws TabserveError `out_of_memory`, `device_lost`, `internal`
 */
export function probeLimits(gpu: Gpu): Promise<AdapterLimits> {
  return containErrors(gpu, async (contain) => {
    const buffers = new BufferPool(gpu.device);
    try {
      return await measure(gpu, buffers, contain);
    } finally {
      buffers.destroy();
    }
  });
}

async function measure({ device, supportedNumerics }: Gpu, buffers: BufferPool, contain: Contain): Promise<AdapterLimits> {
  const builder = new OpBuilder(device, { contain });
  const tick = await tickProbe(builder, buffers);
  const watch = await Stopwatch.start(device, contain);
  const dispatchesPerMs = await watch.perMs((count) => {
    submit(device, tick, [1, 1, 1], count);
    return count;
  }, MAX_DISPATCHES);
  const submitsPerMs = await watch.perMs((count) => {
    for (let i = 0; i < count; i++) submit(device, tick, [1, 1, 1], 1);
    return count;
  }, MAX_SUBMITS);
  return {
    ...(await growingRead(watch, builder)),
    f32Gflops: await arithmetic(watch, builder, buffers, 'f32'),
    f16Gflops: supportedNumerics.includes('f16') ? await arithmetic(watch, builder, buffers, 'f16') : undefined,
    int8Gops: supportedNumerics.includes('dp4a') ? await arithmetic(watch, builder, buffers, 'int8') : undefined,
    dispatchUs: 1000 / dispatchesPerMs,
    submitUs: 1000 / submitsPerMs,
    readbackMs: await readback(builder, tick, buffers),
  };
}

type ReadLimits = Pick<AdapterLimits, 'readGBps' | 'readBytes'>;

/** Reads a buffer that grows until reading it takes long enough, or the GPU grants no larger one. */
async function growingRead(watch: Stopwatch, builder: OpBuilder): Promise<ReadLimits> {
  const { maxBufferSize, maxStorageBufferBindingSize } = watch.device.limits;
  const most = Math.min(MAX_READ_BYTES, maxBufferSize * MAX_READ_SHARE, maxStorageBufferBindingSize);
  const largest = Math.floor(most / READ_BYTES_PER_GROUP) * READ_BYTES_PER_GROUP;
  let found: ReadLimits | undefined;
  for (let bytes = Math.min(FIRST_READ_BYTES, largest); ; bytes = Math.min(4 * bytes, largest)) {
    const buffers = new BufferPool(watch.device);
    const attempt = await buffers.tryCreate((pool) => builder.contain(() => readBuffers(pool, bytes)));
    if ('refused' in attempt) {
      if (found === undefined) throw attempt.refused;
      return found;
    }
    try {
      const { groups, ...probe } = await readProbe(builder, attempt.made);
      const read = (count: number): number => {
        submit(watch.device, probe, [groups, 1, 1], count);
        return count;
      };
      found = { readGBps: ((await watch.perMs(read, MAX_DISPATCHES)) * bytes) / 1e6, readBytes: bytes };
    } finally {
      buffers.destroy();
    }
    if (bytes === largest || bytes / (found.readGBps * 1e6) >= MIN_RUN_MS) return found;
  }
}

/** Operations in units of 10^9 a second. */
async function arithmetic(watch: Stopwatch, builder: OpBuilder, buffers: BufferPool, number: ProbeNumber): Promise<number> {
  const { operations, ...probe } = await arithmeticProbe(builder, buffers, number);
  const run = (amount: number): number => {
    const groups = Math.min(amount * FIRST_GROUPS, MAX_GROUPS);
    const dispatches = Math.ceil((amount * FIRST_GROUPS) / groups);
    submit(watch.device, probe, [groups, 1, 1], dispatches);
    return (groups * dispatches) / FIRST_GROUPS;
  };
  return ((await watch.perMs(run, Infinity)) * FIRST_GROUPS * operations) / 1e6;
}

/** The median time to read 4 bytes back. */
async function readback({ device, contain }: OpBuilder, { result }: ProbeOp, buffers: BufferPool): Promise<number> {
  const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
  const staging = contain(() => buffers.create('probe staging', 16, usage));
  const times: number[] = [];
  for (let i = 0; i < READBACKS; i++) {
    const start = performance.now();
    const { mapped } = contain(() => {
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(result, 0, staging, 0, 4);
      device.queue.submit([encoder.finish()]);
      return { mapped: staging.mapAsync(GPUMapMode.READ) };
    });
    await mapped;
    times.push(performance.now() - start);
    staging.unmap();
  }
  const median = times.toSorted((a, b) => a - b)[(READBACKS - 1) / 2];
  if (median === undefined) throw new TabserveError('internal', 'Nothing was read back.');
  return median;
}
