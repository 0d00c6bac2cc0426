import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { BufferPool } from '../../src/gpu/buffers.ts';
import { type Gpu, openGpu } from '../../src/gpu/device.ts';
import { probeLimits } from '../../src/gpu/limits-probe.ts';
import { OpBuilder } from '../../src/gpu/op.ts';
import { PassTimer } from '../../src/gpu/pass-timer.ts';
import {
  ARITHMETIC_ITERATIONS, ARITHMETIC_LANES, ARITHMETIC_OPERANDS, arithmeticProbe, type ProbeOp, READ_BYTES_PER_GROUP,
  readBuffers, readProbe, submit, tickProbe,
} from '../../src/gpu/probe-kernels.ts';
import { readWords } from '../support/read-words.ts';

// What the probes compute, to the last bit: a probe that leaves work out measures nothing.

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.device.destroy());

const readResult = (device: GPUDevice, { result }: ProbeOp): Promise<Uint32Array> => readWords(device, [result]);

/** Three workgroups, twice. */
const [GROUPS, DISPATCHES] = [3, 2];
const lanes = Array.from({ length: ARITHMETIC_LANES }, (_, lane) => lane);

test.for(['f32', 'f16'] as const)('every multiply-add of %s is done', async (number, { skip }) => {
  const adapter = await navigator.gpu.requestAdapter();
  if (number === 'f16' && adapter?.features.has('shader-f16') !== true) skip('this adapter has no shader-f16');
  const device = number === 'f16' ? await adapter?.requestDevice({ requiredFeatures: ['shader-f16'] }) : gpu.device;
  if (device === undefined) throw new Error('no device');
  const probe = await arithmeticProbe(new OpBuilder(device), new BufferPool(device), number);
  submit(device, probe, [GROUPS, 1, 1], DISPATCHES);
  const [factor, addend] = ARITHMETIC_OPERANDS[number];
  const sumOfLane = (lane: number): number => {
    let sum = 0;
    for (let component = 0; component < 4; component++) {
      for (let chain = 0; chain < 8; chain++) {
        let value = lane + 64 * component + chain;
        for (let i = 0; i < ARITHMETIC_ITERATIONS; i++) value = value * factor + addend;
        sum += value;
      }
    }
    return sum;
  };
  expect([...(await readResult(device, probe))]).toEqual(lanes.map((lane) => GROUPS * DISPATCHES * sumOfLane(lane)));
  if (device !== gpu.device) device.destroy();
});

test('every dot product is taken', async ({ skip }) => {
  if (!navigator.gpu.wgslLanguageFeatures.has('packed_4x8_integer_dot_product')) skip('WGSL has no dot4I8Packed here');
  const probe = await arithmeticProbe(new OpBuilder(gpu.device), new BufferPool(gpu.device), 'int8');
  submit(gpu.device, probe, [GROUPS, 1, 1], DISPATCHES);
  const [factors, addend] = ARITHMETIC_OPERANDS.int8;
  const byte = (word: number, i: number): number => (word << (24 - 8 * i)) >> 24;
  const next = (chain: number): number =>
    [0, 1, 2, 3].reduce((sum, i) => sum + byte(chain, i) * byte(factors, i), addend) | 0;
  const sumOfLane = (lane: number): number => {
    let sum = 0;
    for (let chain = 0; chain < 16; chain++) {
      let value = lane + 64 * chain;
      for (let i = 0; i < ARITHMETIC_ITERATIONS; i++) value = next(value);
      sum = (sum + value) >>> 0;
    }
    return (sum * GROUPS * DISPATCHES) >>> 0;
  };
  expect([...(await readResult(gpu.device, probe))]).toEqual(lanes.map(sumOfLane));
});

test('every word of the buffer is read', async () => {
  const bytes = 3 * READ_BYTES_PER_GROUP;
  const probe = await readProbe(new OpBuilder(gpu.device), readBuffers(new BufferPool(gpu.device), bytes));
  submit(gpu.device, probe, [probe.groups, 1, 1], 1);
  let expected = 0;
  for (let i = 0; i < bytes / 4; i++) {
    const x = Math.imul(i, 2654435761) >>> 0;
    expected = (expected + (x ^ (x >>> 13))) >>> 0;
  }
  const sums = await readResult(gpu.device, probe);
  expect(sums.reduce((sum, each) => (sum + each) >>> 0, 0)).toBe(expected);
  expect(new Set(sums).size).toBeGreaterThan(sums.length / 2); // each lane has read something else
});

test('each tick comes after the one before', async () => {
  const probe = await tickProbe(new OpBuilder(gpu.device), new BufferPool(gpu.device));
  submit(gpu.device, probe, [1, 1, 1], 1000);
  submit(gpu.device, probe, [1, 1, 1], 1);
  expect((await readResult(gpu.device, probe))[0]).toBe(1001);
});

test('the adapter’s limits are numbers that a machine can have, and the device is as before', async () => {
  const heard = listen();
  const probing = probeLimits(gpu);
  makeFault('a step beside the probe');
  const limits = await probing;
  await vi.waitUntil(() => heard.length > 0, { timeout: 20_000 });
  expect(heard).toEqual([expect.stringContaining('a step beside the probe')]);
  const { f16Gflops, int8Gops, ...others } = limits;
  for (const [name, value] of Object.entries(others)) expect(value, name).toBeGreaterThan(0);
  for (const value of Object.values(others)) expect(value).toBeLessThan(Infinity);
  expect(f16Gflops === undefined).toBe(!gpu.device.features.has('shader-f16'));
  expect(int8Gops === undefined).toBe(!navigator.gpu.wgslLanguageFeatures.has('packed_4x8_integer_dot_product'));
  expect(limits.readBytes).toBeGreaterThanOrEqual(16 * 2 ** 20);
  expect(limits.readGBps).toBeLessThan(50_000);
  gpu.device.pushErrorScope('validation');
  expect(await gpu.device.popErrorScope()).toBeNull();
}, 60_000);

test('what goes wrong while a profile is read is not its own', async ({ skip }) => {
  if (!gpu.device.features.has('timestamp-query')) skip('this adapter has no timestamps');
  const timer = await PassTimer.create(gpu, 1, 1);
  const encoder = gpu.device.createCommandEncoder();
  const noWork = { tokens: 0, samples: 0, biased: 0, penalised: 0, filtered: 0, topK: 0, topP: 0 };
  timer.encode(encoder, [], { ...noWork, maxContext: 0, contextTokens: 0, attendedTokens: 0, singles: 0, tiles: 0 });
  gpu.device.queue.submit([encoder.finish()]);
  const heard = listen();
  const reading = timer.read();
  makeFault('a step beside the profile');
  expect(await reading).toHaveLength(1);
  await vi.waitUntil(() => heard.length > 0, { timeout: 20_000 });
  expect(heard).toEqual([expect.stringContaining('a step beside the profile')]);
  timer.destroy();
});

test('what goes wrong with the probe itself fails it, and nobody else hears of it', async () => {
  const heard = listen();
  const bind = vi.spyOn(OpBuilder.prototype, 'bindApart').mockImplementationOnce(function (this: OpBuilder) {
    return this.contain(() => makeFault('the probe'));
  });
  await expect(probeLimits(gpu)).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('the probe') });
  bind.mockRestore();
  makeFault('afterwards');
  await gpu.device.queue.onSubmittedWorkDone();
  await vi.waitUntil(() => heard.length > 0, { timeout: 20_000 });
  expect(heard).toEqual([expect.stringContaining('afterwards')]);
}, 60_000);

/** What is told of the device to whoever listens, until the test ends. */
function listen(): string[] {
  const heard: string[] = [];
  const hear = ({ error }: GPUUncapturedErrorEvent): void => void heard.push(error.message);
  gpu.device.addEventListener('uncapturederror', hear);
  onTestFinished(() => gpu.device.removeEventListener('uncapturederror', hear));
  return heard;
}

/** Does what the GPU finds fault with. */
function makeFault(label: string): GPUBindGroup {
  const layout = gpu.device.createBindGroupLayout({ entries: [{ binding: 0, visibility: 4, buffer: {} }] });
  return gpu.device.createBindGroup({ label, layout, entries: [] });
}
