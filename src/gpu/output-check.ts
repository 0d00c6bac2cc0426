import compareText from '../../shaders/check/compare.wgsl?raw';
import fillText from '../../shaders/check/fill.wgsl?raw';
import { BufferPool } from './buffers.ts';
import type { CheckScene, Numbers } from './check-scene.ts';
import type { Contain } from './contain.ts';
import type { Gpu } from './device.ts';
import { containErrors } from './error-scope.ts';
import { bindGroupLayout, compile, defineKernel } from './kernel.ts';
import type { Grid } from './op.ts';
import type { OpBuffers, VariantSetOptions } from './variant-set.ts';

export const CHECK_FILL = defineKernel({ name: 'check-fill', bindings: { settings: 'uniform', words: 'read_write' }, overrides: [] });

export const CHECK_COMPARE = defineKernel({
  name: 'check-compare',
  bindings: { expected: 'read', found: 'read', counts: 'read_write' },
  overrides: [],
});

/** The module of each kernel. */
export const checkModules = {
  fill: [{ path: 'shaders/check/fill.wgsl', text: fillText }],
  compare: [{ path: 'shaders/check/compare.wgsl', text: compareText }],
} as const;

/** The bits of a word that are random, those that are 1, and those of which one is random in a word that is not 0. */
const NUMBERS: Readonly<Record<Numbers, readonly [kept: number, fixed: number, nonzero: number]>> = {
  signed: [0x83ff8fff, 0x3c003000, 0],
  positive: [0x03ff0fff, 0x3c003000, 0],
  small: [0x83ff8fff, 0x38003000, 0],
  large: [0x807f8fff, 0x46003000, 0],
  tiny: [0x807f8fff, 0, 0x60000000],
};

/** Lanes of a workgroup, and the most workgroups, of both kernels. */
const LANES = 64;
const MAX_GROUPS = 1024;

/** A kernel's op, and the scene of its check. */
export interface CheckedOp {
  readonly spec: VariantSetOptions['spec'];
  readonly buffers: OpBuffers;
  readonly scene: CheckScene;
}

/** One of the two runs of a check. */
export interface CheckRun {
  readonly pipeline: GPUComputePipeline;
  readonly grid: Grid;
  /** Step inputs of this run, where they are not the scene's. */
  readonly words?: CheckScene['words'];
}

/**
 * Runs two kernels on the same inputs and compares all words of their outputs on the GPU. Both write scratch buffers, which
 * hold the same numbers before; nothing that a step reads is written. The buffers exist during the check only.
 */
export class OutputCheck {
  readonly #gpu: Gpu;
  readonly #fill: GPUComputePipeline;
  readonly #compare: GPUComputePipeline;

  private constructor(gpu: Gpu, fill: GPUComputePipeline, compare: GPUComputePipeline) {
    this.#gpu = gpu;
    this.#fill = fill;
    this.#compare = compare;
  }

  /** @throws TabserveError */
  static create(gpu: Gpu): Promise<OutputCheck> {
    const { device } = gpu;
    return containErrors(gpu, async (contain) => {
      const [fill, compare] = await Promise.all(
        ([[CHECK_FILL, checkModules.fill], [CHECK_COMPARE, checkModules.compare]] as const).map(([spec, modules]) => {
          const layout = contain(() => bindGroupLayout(device, spec));
          return compile(device, spec.name, layout, modules, {}, contain);
        }),
      );
      if (fill === undefined || compare === undefined) throw new Error('a kernel is missing');
      return new OutputCheck(gpu, fill, compare);
    });
  }

  /**
   * Whether both runs leave the same words in all outputs.
   *
   * @throws TabserveError `out_of_memory`, `device_lost`, `internal`
   */
  agree(op: CheckedOp, expected: CheckRun, found: CheckRun): Promise<boolean> {
    return containErrors(this.#gpu, async (contain) => {
      const pool = new BufferPool(this.#gpu.device);
      try {
        const { staging, numWords } = this.#submit(pool, contain, op, [expected, found]);
        await pool.ready();
        await staging.mapAsync(GPUMapMode.READ);
        const [differing, compared] = new Uint32Array(staging.getMappedRange());
        return differing === 0 && compared === numWords;
      } finally {
        pool.destroy();
      }
    });
  }

  #submit(pool: BufferPool, contain: Contain, op: CheckedOp, runs: readonly [CheckRun, CheckRun]) {
    const { device } = this.#gpu;
    return contain(() => {
      const counts = pool.create('check counts', 16);
      const staging = pool.create('check staging', 16, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
      const inputs = inputsOf(pool, device, op);
      const outputs = runs.map(() => outputsOf(pool, op));
      const [expected = new Map<string, GPUBuffer>(), found = expected] = outputs;
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      const dispatch = (pipeline: GPUComputePipeline, grid: Grid, resources: readonly GPUBindingResource[]): void => {
        const entries = resources.map((resource, binding) => ({ binding, resource }));
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
        pass.dispatchWorkgroups(...grid);
      };
      const fill = (buffer: GPUBuffer, numbers: Numbers, seed: number): void => {
        const settings = wordsBuffer(pool, device, 'check settings', Uint32Array.of(seed, ...NUMBERS[numbers]));
        dispatch(this.#fill, gridOver(buffer), [{ buffer: settings }, { buffer }]);
      };
      for (const [i, { buffer, numbers }] of inputs.numbers.entries()) fill(buffer, numbers, 1 + i);
      for (const output of outputs) for (const [i, buffer] of [...output.values()].entries()) fill(buffer, 'signed', 100 + i);
      for (const [i, { pipeline, grid, words = {} }] of runs.entries()) {
        const ofRun = wordsBuffers(pool, device, op.buffers, words);
        const own = { ...op.buffers, ...inputs.byName, ...ofRun, ...Object.fromEntries(outputs[i] ?? []) };
        dispatch(pipeline, grid, Object.keys(op.spec.bindings).map((name) => resourceOf(own, name)));
      }
      for (const [name, buffer] of expected) {
        const other = found.get(name) ?? buffer;
        dispatch(this.#compare, gridOver(buffer), [{ buffer }, { buffer: other }, { buffer: counts }]);
      }
      pass.end();
      encoder.copyBufferToBuffer(counts, 0, staging, 0, 16);
      device.queue.submit([encoder.finish()]);
      const numWords = [...expected.values()].reduce((sum, { size }) => sum + size / 4, 0);
      return { staging, numWords };
    });
  }
}

/** The inputs that stand in for the op's own. */
function inputsOf(pool: BufferPool, device: GPUDevice, { buffers, scene }: CheckedOp) {
  const numbers = Object.entries(scene.numbers).map(([name, kind]) => ({
    name, numbers: kind, buffer: pool.create(`check ${name}`, sizeOf(buffers, name)),
  }));
  const byName = Object.fromEntries(numbers.map(({ name, buffer }) => [name, buffer]));
  return { numbers, byName: { ...byName, ...wordsBuffers(pool, device, buffers, scene.words) } };
}

function wordsBuffers(pool: BufferPool, device: GPUDevice, buffers: OpBuffers, words: CheckScene['words']): Record<string, GPUBuffer> {
  return Object.fromEntries(Object.entries(words).map(([name, values]) => {
    const all = new Uint32Array(Math.max(values.length, sizeOf(buffers, name) / 4)); // WGSL may fix an array's size
    all.set(values);
    return [name, wordsBuffer(pool, device, `check ${name}`, all)];
  }));
}

/** Scratch buffers for all that the op writes. */
function outputsOf(pool: BufferPool, { spec, scene }: CheckedOp): Map<string, GPUBuffer> {
  const written = Object.entries(spec.bindings).filter(([, access]) => access === 'read_write');
  return new Map(written.map(([name]) => {
    const bytes = scene.outputs[name];
    if (bytes === undefined) throw new Error(`the check of ${spec.name} has no scratch buffer for ${name}`);
    return [name, pool.create(`check ${name}`, bytes)];
  }));
}

function wordsBuffer(pool: BufferPool, device: GPUDevice, label: string, words: Uint32Array<ArrayBuffer>): GPUBuffer {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
  const buffer = pool.create(label, words.byteLength, usage);
  device.queue.writeBuffer(buffer, 0, words);
  return buffer;
}

function resourceOf(buffers: OpBuffers, name: string): GPUBindingResource {
  const found = buffers[name];
  if (found === undefined) throw new Error(`no buffer for ${name}`);
  return found instanceof GPUBuffer ? { buffer: found } : found;
}

/** Bytes of the op's own buffer or range. */
function sizeOf(buffers: OpBuffers, name: string): number {
  const found = buffers[name];
  if (found === undefined || !('size' in found)) throw new Error(`no buffer for ${name}`);
  return found.size ?? 0;
}

function gridOver({ size }: GPUBuffer): Grid {
  return [Math.min(MAX_GROUPS, Math.ceil(size / 4 / LANES)), 1, 1];
}
