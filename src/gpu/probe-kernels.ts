import dot4 from '../../shaders/probe/dot4.wgsl?raw';
import f16 from '../../shaders/probe/f16.wgsl?raw';
import f32 from '../../shaders/probe/f32.wgsl?raw';
import fill from '../../shaders/probe/fill.wgsl?raw';
import multiplyAdd from '../../shaders/probe/multiply-add.wgsl?raw';
import read from '../../shaders/probe/read.wgsl?raw';
import tick from '../../shaders/probe/tick.wgsl?raw';
import type { BufferPool } from './buffers.ts';
import { defineKernel } from './kernel.ts';
import { constants, type ShaderModule } from './link.ts';
import type { Grid, OpBuilder } from './op.ts';

export const PROBE_FILL = defineKernel({ name: 'probe-fill', bindings: { source: 'read_write' }, overrides: [] });

export const PROBE_READ = defineKernel({
  name: 'probe-read',
  bindings: { source: 'read', sums: 'read_write' },
  overrides: ['LANES', 'VECTORS_PER_LANE'],
});

export const PROBE_ARITHMETIC = defineKernel({
  name: 'probe-arithmetic',
  bindings: { operands: 'read', sums: 'read_write' },
  overrides: ['ITERATIONS'],
});

export const PROBE_TICK = defineKernel({ name: 'probe-tick', bindings: { count: 'read_write' }, overrides: [] });

/** The number types of the arithmetic probes. */
export type ProbeNumber = 'f32' | 'f16' | 'int8';

/** Lanes of an arithmetic workgroup. */
export const ARITHMETIC_LANES = 64;
/** Iterations of its loop. The largest sum of this many is still exact in f16. */
export const ARITHMETIC_ITERATIONS = 1024;
/** The factors (for int8: 1, 2, -1, 3) and the addend. */
export const ARITHMETIC_OPERANDS = { f32: [1, 1], f16: [1, 1], int8: [0x03ff0201, 5] } as const;
/**
 * Operations of one workgroup. Each lane does 32 multiply-adds, or 16 dot products of four and their sums, in an
 * iteration.
 */
const OPERATIONS = {
  f32: ARITHMETIC_LANES * ARITHMETIC_ITERATIONS * 32 * 2,
  f16: ARITHMETIC_LANES * ARITHMETIC_ITERATIONS * 32 * 2,
  int8: ARITHMETIC_LANES * ARITHMETIC_ITERATIONS * 16 * 8,
};

const READ_LANES = 128;
const READ_VECTORS_PER_LANE = 64;
/** Bytes that a workgroup of the read probe reads; buffers are a multiple of this. */
export const READ_BYTES_PER_GROUP = READ_LANES * READ_VECTORS_PER_LANE * 16;
const FILL_GROUPS = 1024;

/** A kernel bound to its buffers, and its result. */
export interface ProbeOp {
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  /** Proof that the work was done. */
  readonly result: GPUBuffer;
}

/** A probe that counts its runs, from 0. */
export async function tickProbe(builder: OpBuilder, buffers: BufferPool): Promise<ProbeOp> {
  const result = builder.contain(() => buffers.create('probe count', 16));
  const key = builder.variant(PROBE_TICK, tickModules(), {});
  return ready(builder, key, builder.bind(PROBE_TICK, { count: result }), result);
}

/** The arithmetic probe, with {@link OPERATIONS} operations a workgroup. */
export async function arithmeticProbe(
  builder: OpBuilder,
  buffers: BufferPool,
  number: ProbeNumber,
): Promise<ProbeOp & { readonly operations: number }> {
  const Values = number === 'int8' ? Uint32Array : Float32Array;
  const { operands, sums } = builder.contain(() => {
    const operands = buffers.create('probe operands', 16);
    builder.device.queue.writeBuffer(operands, 0, new Values(ARITHMETIC_OPERANDS[number]));
    return { operands, sums: buffers.create('probe sums', ARITHMETIC_LANES * 4) };
  });
  const key = builder.variant(PROBE_ARITHMETIC, arithmeticModules(number), { ITERATIONS: ARITHMETIC_ITERATIONS });
  const op = await ready(builder, key, builder.bind(PROBE_ARITHMETIC, { operands, sums }), sums);
  return { ...op, operations: OPERATIONS[number] };
}

/** The buffers of {@link readProbe}: `bytes` to read, and the sums. */
export function readBuffers(buffers: BufferPool, bytes: number): { readonly source: GPUBuffer; readonly sums: GPUBuffer } {
  const sums = buffers.create('probe sums', (bytes / READ_BYTES_PER_GROUP) * READ_LANES * 4);
  return { source: buffers.create('probe source', bytes), sums };
}

/** A probe that reads a buffer in `groups` workgroups. The buffer is filled with numbers first. */
export async function readProbe(
  builder: OpBuilder,
  { source, sums }: ReturnType<typeof readBuffers>,
): Promise<ProbeOp & { readonly groups: number }> {
  const overrides = { LANES: READ_LANES, VECTORS_PER_LANE: READ_VECTORS_PER_LANE };
  const filling = builder.variant(PROBE_FILL, fillModules(source.size), {});
  const reading = builder.variant(PROBE_READ, readModules(source.size), overrides);
  const filler = await ready(builder, filling, builder.bind(PROBE_FILL, { source }), source);
  builder.contain(() => submit(builder.device, filler, [FILL_GROUPS, 1, 1], 1));
  const reader = await ready(builder, reading, builder.bind(PROBE_READ, { source, sums }), sums);
  return { ...reader, groups: source.size / READ_BYTES_PER_GROUP };
}

/** Submits one pass of `dispatches` dispatches. */
export function submit(device: GPUDevice, { pipeline, bindGroup }: ProbeOp, grid: Grid, dispatches: number): void {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindGroup);
  for (let i = 0; i < dispatches; i++) pass.dispatchWorkgroups(...grid);
  pass.end();
  device.queue.submit([encoder.finish()]);
}

export function tickModules(): readonly ShaderModule[] {
  return [{ path: 'shaders/probe/tick.wgsl', text: tick }];
}

export function arithmeticModules(number: ProbeNumber): readonly ShaderModule[] {
  if (number === 'int8') return [{ path: 'shaders/probe/dot4.wgsl', text: dot4 }];
  return [
    { path: 'shaders/probe/multiply-add.wgsl', text: multiplyAdd },
    { path: `shaders/probe/${number}.wgsl`, text: number === 'f16' ? f16 : f32 },
  ];
}

export function readModules(bytes: number): readonly ShaderModule[] {
  return [{ path: 'shaders/probe/read.wgsl', text: read }, lengthOf(bytes)];
}

export function fillModules(bytes: number): readonly ShaderModule[] {
  return [{ path: 'shaders/probe/fill.wgsl', text: fill }, lengthOf(bytes)];
}

function lengthOf(bytes: number): ShaderModule {
  return constants('length', { VECTORS: bytes / 16 });
}

async function ready(builder: OpBuilder, key: string, bindGroup: GPUBindGroup, result: GPUBuffer): Promise<ProbeOp> {
  await builder.ready();
  return { pipeline: builder.pipeline(key), bindGroup, result };
}
