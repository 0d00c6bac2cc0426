import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Gpu } from '../../../src/gpu/device.ts';
import { defineKernel } from '../../../src/gpu/kernel.ts';
import { OutputCheck } from '../../../src/gpu/output-check.ts';

// The kernels themselves run in test/gpu/tuning.test.ts. Here a device runs them as functions, and keeps account of buffers.

class FakeBuffer {
  readonly words: Uint32Array;
  isDestroyed = false;
  constructor(readonly label: string, readonly size: number) {
    this.words = new Uint32Array(size / 4);
  }
  async mapAsync(): Promise<void> {}
  getMappedRange(): ArrayBuffer {
    return this.words.slice().buffer;
  }
  destroy(): void {
    this.isDestroyed = true;
  }
}

/** A pipeline's work on its buffers, which are in the order of bindings. */
type Run = (buffers: readonly FakeBuffer[]) => void;
interface Entry { readonly resource: { readonly buffer: FakeBuffer } }

const fill: Run = ([settings, words]) => words?.words.forEach((_, i, all) => (all[i] = (settings?.words[0] ?? 0) * 1000 + i));
const compare: Run = ([expected, found, counts]) => expected?.words.forEach((word, i) => {
  if (counts === undefined) return;
  counts.words[0] = (counts.words[0] ?? 0) + Number(word !== found?.words[i]);
  counts.words[1] = (counts.words[1] ?? 0) + 1;
});

const pipeline = (run: Run) => ({ run, getBindGroupLayout: () => ({}) });
const asPipeline = (run: Run) => ({ pipeline: pipeline(run) as unknown as GPUComputePipeline, grid: [1, 1, 1] as const });

function fakeGpu(kernels: { readonly compare?: Run; readonly refused?: string } = {}) {
  const buffers: FakeBuffer[] = [];
  const scopes: string[] = [];
  let isRefused = false;
  const encoder = () => {
    let run: Run = () => {};
    let entries: readonly Entry[] = [];
    return {
      beginComputePass: () => ({
        setPipeline: (next: { readonly run: Run }) => (run = next.run),
        setBindGroup: (_: number, group: readonly Entry[]) => (entries = group),
        dispatchWorkgroups: () => run(entries.map(({ resource: { buffer } }) => buffer)),
        end: () => {},
      }),
      copyBufferToBuffer: (from: FakeBuffer, _a: number, to: FakeBuffer) => to.words.set(from.words),
      finish: () => ({}),
    };
  };
  const device = {
    limits: { maxBufferSize: 2 ** 30, maxStorageBufferBindingSize: 2 ** 30 },
    createBuffer: ({ label, size }: { label: string; size: number }) => {
      isRefused ||= label === kernels.refused;
      const buffer = new FakeBuffer(label, size);
      buffers.push(buffer);
      return buffer;
    },
    createBindGroupLayout: () => ({}), createPipelineLayout: () => ({}),
    createShaderModule: () => ({ getCompilationInfo: async () => ({ messages: [] }) }),
    createComputePipelineAsync: async ({ label }: { label: string }) => pipeline(label === 'check-fill' ? fill : (kernels.compare ?? compare)),
    createBindGroup: ({ entries }: { entries: readonly Entry[] }) => entries,
    createCommandEncoder: encoder,
    queue: { writeBuffer: (buffer: FakeBuffer, _: number, words: Uint32Array) => buffer.words.set(words), submit: () => {} },
    pushErrorScope: (filter: string) => void scopes.push(filter),
    popErrorScope: async () => {
      const isOurs = scopes.pop() === 'out-of-memory' && isRefused;
      isRefused &&= !isOurs;
      return isOurs ? { message: 'full' } : null;
    },
  };
  return { gpu: { device, lost: new Promise(() => {}) } as unknown as Gpu, buffers };
}

beforeAll(() => {
  vi.stubGlobal('GPUShaderStage', { COMPUTE: 4 });
  vi.stubGlobal('GPUMapMode', { READ: 1 });
  vi.stubGlobal('GPUBuffer', FakeBuffer);
  vi.stubGlobal('GPUBufferUsage', { STORAGE: 1, UNIFORM: 2, COPY_DST: 4, COPY_SRC: 8, MAP_READ: 16 });
});
afterAll(() => void vi.unstubAllGlobals());

const spec = defineKernel({
  name: 'kernel',
  bindings: { weights: 'read', x: 'read', counts: 'uniform', hidden: 'read_write', squares: 'read_write' },
  overrides: [],
});
const live = Object.fromEntries(Object.keys(spec.bindings).map((name) => [name, new FakeBuffer(`live ${name}`, 64)]));
const scene = { words: { counts: Uint32Array.of(12) }, numbers: { x: 'signed' }, outputs: { hidden: 32, squares: 48 } } as const;
const op = { spec, buffers: live as unknown as Record<string, GPUBuffer>, scene };

/** In place, as the residual stream is: hidden grows by x of the row. */
const right: Run = ([weights, x, counts, hidden, squares]) => {
  if (weights?.label !== 'live weights') throw new Error('weights are the model’s own');
  hidden?.words.forEach((word, i, all) => (all[i] = word + (x?.words[i] ?? 0)));
  squares?.words.fill(counts?.words[0] ?? 0, 0, 6);
};
/** The same, but for one word of an output. */
const wrongIn = (binding: number, at: number): Run => (buffers) => {
  right(buffers);
  const words = buffers[binding]?.words;
  if (words !== undefined) words[at] = (words[at] ?? 0) ^ 0x80000000;
};

test('two runs agree if all words of all outputs do; nothing that a step uses is written, and all scratch memory is freed', async () => {
  const { gpu, buffers } = fakeGpu();
  const check = await OutputCheck.create(gpu);
  const seen: (readonly FakeBuffer[])[] = [];
  const watched: Run = (own) => {
    seen.push(own);
    right(own);
  };
  expect(await check.agree(op, asPipeline(watched), asPipeline(watched))).toBe(true);
  const [first = [], second = []] = seen;
  expect(first.map(({ label }) => label)).toEqual(['live weights', 'check x', 'check counts', 'check hidden', 'check squares']);
  expect(first.map((buffer, i) => buffer === second[i])).toEqual([true, true, true, false, false]);
  expect([...first[2]?.words ?? []].slice(0, 2)).toEqual([12, 0]);
  expect(first[2]?.size).toBe(64); // an array may have a fixed size
  for (const buffer of Object.values(live)) expect(buffer.words.every((word) => word === 0), buffer.label).toBe(true);
  expect(buffers.length).toBeGreaterThan(5);
  expect(buffers.filter(({ isDestroyed }) => !isDestroyed)).toEqual([]);
});

test.each([['the first output', 3, 0], ['its last word', 3, 7], ['the second output', 4, 2], ['a word behind what is written', 4, 11]])('they do not where %s differs', async (_what, binding, at) => {
  const check = await OutputCheck.create(fakeGpu().gpu);
  expect(await check.agree(op, asPipeline(right), asPipeline(wrongIn(binding, at)))).toBe(false);
  expect(await check.agree(op, asPipeline(right), asPipeline(() => {}))).toBe(false); // returns early
});

test('a comparison that does not run, or not on all words, is no agreement', async () => {
  const none = await OutputCheck.create(fakeGpu({ compare: () => {} }).gpu);
  expect(await none.agree(op, asPipeline(right), asPipeline(right))).toBe(false);
  const once: Run = (buffers) => (buffers[0]?.size === 32 ? compare(buffers) : undefined);
  const half = await OutputCheck.create(fakeGpu({ compare: once }).gpu);
  expect(await half.agree(op, asPipeline(right), asPipeline(right))).toBe(false);
});

test('an output without scratch memory, and memory that the GPU refuses, fail the check and free what it has', async () => {
  const { gpu, buffers } = fakeGpu({ refused: 'check squares' });
  const check = await OutputCheck.create(gpu);
  await expect(check.agree(op, asPipeline(right), asPipeline(right))).rejects.toMatchObject({ code: 'out_of_memory' });
  const part = { ...op, scene: { ...scene, outputs: { hidden: 32 } } };
  await expect(check.agree(part, asPipeline(right), asPipeline(right))).rejects.toThrow('no scratch buffer for squares');
  expect(buffers.filter(({ isDestroyed }) => !isDestroyed)).toEqual([]);
}, 10_000);
