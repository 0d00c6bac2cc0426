import type { DeferredKernel, Trial, Tunable } from './tunable.ts';
import type { Variant, VariantSet } from '../gpu/variant-set.ts';
import { explainFailure, type Gpu } from '../gpu/device.ts';
import { untilAborted } from '../core/until-aborted.ts';
import { containErrors } from '../gpu/error-scope.ts';
import type { OpBuilder } from '../gpu/op.ts';
import { scenesOf } from '../gpu/check-scene.ts';
import { OutputCheck } from '../gpu/output-check.ts';

/** The variant sets that can be tried. A trial writes no buffer that a step reads, and needs memory only for a check. */
export function tunablesOf(gpu: Gpu, builder: OpBuilder): readonly Tunable[] {
  let made: TrialResources | undefined;
  const resources = (): TrialResources => (made ??= createTrialResources(gpu));
  return builder.variantSets.map((variantSet) => tunableOf(gpu, builder, variantSet, resources));
}

function tunableOf(gpu: Gpu, builder: OpBuilder, variantSet: VariantSet, resources: () => TrialResources): Tunable {
  const names = variantSet.variants().slice(1).map(({ name }) => name);
  return {
    key: variantSet.key,
    name: variantSet.options.name,
    tokens: variantSet.options.tokens,
    trialStep: trialStepOf(variantSet),
    get candidates() {
      return variantSet.isRetired ? [] : names;
    },
    get variant() {
      return variantSet.variant.name;
    },
    get isReady() {
      return variantSet.isReady;
    },
    prepare: async (candidates, giveUp) => {
      const shared = resources();
      const compiled = await compileRunners(gpu, variantSet, candidates, giveUp);
      return new GpuTrial(gpu, builder, variantSet, compiled, shared);
    },
  };
}

/** The trial's step, over the ops of all layers. */
function trialStepOf({ options, buffers }: VariantSet): Tunable['trialStep'] {
  const { tokens, bytes } = options.trialStep;
  return { tokens, bytes: bytes * buffers.length };
}

/** The variant sets that are compiled after the model is ready. */
export function deferredKernelsOf(gpu: Gpu, builder: OpBuilder): readonly DeferredKernel[] {
  return builder.variantSets.filter(({ isReady }) => !isReady).map((variantSet) => ({
    tokens: variantSet.options.tokens,
    get numMissed() {
      return variantSet.numMissed;
    },
    compile: () => contained(gpu, () => variantSet.ready()),
  }));
}

/** Shared by all trials of a device, which run one after the other. */
interface TrialResources {
  /** Copied to the probe. */
  readonly source: GPUBuffer;
  /** Mapped when a trial is over. */
  readonly probe: GPUBuffer;
  readonly clockMs: number;
  /** Compiled for the first check. */
  readonly outputCheck: () => Promise<OutputCheck>;
}

function createTrialResources(gpu: Gpu): TrialResources {
  const { device } = gpu;
  let check: Promise<OutputCheck> | undefined;
  const { COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  return {
    source: device.createBuffer({ label: 'trial source', size: 16, usage: COPY_SRC }),
    probe: device.createBuffer({ label: 'trial probe', size: 16, usage: MAP_READ | COPY_DST }),
    clockMs: clockStep(),
    outputCheck: () => (check ??= OutputCheck.create(gpu)),
  };
}

/** Milliseconds between two ticks of the clock; infinite for a clock that stands still for long. */
function clockStep(): number {
  const tick = (): number => {
    const start = performance.now();
    for (let i = 0; i < 100_000; i++) {
      const now = performance.now();
      if (now > start) return now - start;
    }
    return Infinity;
  };
  return Math.min(tick(), tick(), tick());
}

/** A variant that compiles. */
interface Runner {
  readonly variant: Variant;
  readonly pipeline: GPUComputePipeline;
}

interface Compiled {
  /** That of the variant in use is first. */
  readonly runners: readonly Runner[];
  readonly refused: readonly string[];
}

/**
 * The variant in use, and those of the candidates that compile before they are given up. A browser goes on compiling one
 * that was given up, and keeps it for the next load. One that does not compile, for whatever reason of the driver, is
 * refused.
 */
async function compileRunners(gpu: Gpu, variantSet: VariantSet, candidates: readonly string[], giveUp: AbortSignal): Promise<Compiled> {
  await contained(gpu, () => variantSet.ready());
  const inUse = { variant: variantSet.variant, pipeline: variantSet.pipeline };
  const others = variantSet.variants().filter(({ name }) => name !== inUse.variant.name && candidates.includes(name));
  const results = await Promise.all(
    others.map(async (variant): Promise<Runner | string | undefined> => {
      const compiling = contained(gpu, () => variantSet.compile(variant)).then(
        (pipeline) => ({ variant, pipeline }),
        () => variant.name,
      );
      return untilAborted(compiling, giveUp).catch(() => undefined);
    }),
  );
  const runners = results.filter((result) => typeof result === 'object');
  const refused = results.filter((result) => typeof result === 'string');
  return { runners: [inUse, ...runners], refused };
}

/**
 * Runs ops of one variant set on their own buffers, those of all layers in turn, but with other step inputs. A matmul gets
 * 0 rows: it does all its work and writes nothing, because it reads the number of rows only before it writes, and no
 * compiler knows that it is 0. Attention gets rows of a long context, and overwrites its own output.
 */
class GpuTrial implements Trial {
  readonly variants: readonly string[];
  readonly refused: readonly string[];
  readonly clockMs: number;
  readonly #gpu: Gpu;
  readonly #variantSet: VariantSet;
  readonly #runners: ReadonlyMap<string, Runner>;
  readonly #bindGroups: readonly GPUBindGroup[];
  readonly #resources: TrialResources;

  constructor(gpu: Gpu, builder: OpBuilder, variantSet: VariantSet, { runners, refused }: Compiled, resources: TrialResources) {
    this.#gpu = gpu;
    this.#variantSet = variantSet;
    this.#runners = new Map(runners.map((runner) => [runner.variant.name, runner]));
    this.#resources = resources;
    this.clockMs = resources.clockMs;
    this.variants = [...this.#runners.keys()];
    this.refused = refused;
    const inputs = Object.entries(variantSet.options.trialInputs()).map(([name, words]) => [name, trialInput(gpu.device, words)]);
    const standIns = Object.fromEntries(inputs) as Record<string, GPUBuffer>;
    this.#bindGroups = variantSet.buffers.map((own) => builder.bindApart(variantSet.options.spec, { ...own, ...standIns }));
  }

  async time(name: string, dispatches: number): Promise<number> {
    const { device, lost } = this.#gpu;
    const { probe } = this.#resources;
    const runner = this.#runner(name);
    let start = 0;
    const submitted = containErrors(this.#gpu, (contain) =>
      contain(() => {
        const commands = this.#encode(runner, dispatches);
        start = performance.now();
        device.queue.submit([commands]);
      }),
    );
    submitted.catch(() => {}); // reported below, or by the probe
    try {
      await probe.mapAsync(GPUMapMode.READ);
    } catch (error) {
      throw await explainFailure(lost, error);
    }
    const ms = performance.now() - start;
    probe.unmap();
    await submitted;
    return ms;
  }

  async agrees(name: string): Promise<boolean> {
    const { options: { spec, initial, checkScene }, buffers: [buffers], initialPipeline } = this.#variantSet;
    const { variant, pipeline } = this.#runner(name);
    if (buffers === undefined) throw new Error(`${spec.name} has no op`);
    const check = await this.#resources.outputCheck();
    const expected = { pipeline: initialPipeline, grid: initial.checkGrid };
    const found = { pipeline, grid: variant.checkGrid };
    for (const scene of scenesOf(checkScene())) if (!(await check.agree({ spec, buffers, scene }, expected, found))) return false;
    return true;
  }

  use(name: string): void {
    const { variant, pipeline } = this.#runner(name);
    this.#variantSet.use(variant, pipeline);
  }

  #encode({ variant, pipeline }: Runner, dispatches: number): GPUCommandBuffer {
    const encoder = this.#gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    for (let i = 0; i < dispatches; i++) {
      pass.setBindGroup(0, this.#bindGroups[i % this.#bindGroups.length]);
      pass.dispatchWorkgroups(...variant.trialGrid);
    }
    pass.end();
    encoder.copyBufferToBuffer(this.#resources.source, 0, this.#resources.probe, 0, 16);
    return encoder.finish();
  }

  #runner(name: string): Runner {
    const runner = this.#runners.get(name);
    if (runner === undefined) throw new Error(`there is no variant ${name}`);
    return runner;
  }
}

function trialInput(device: GPUDevice, words: Uint32Array<ArrayBuffer>): GPUBuffer {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
  const buffer = device.createBuffer({ label: 'trial input', size: words.byteLength, usage });
  device.queue.writeBuffer(buffer, 0, words);
  return buffer;
}

/** Reports errors of the synchronous part of `start` as its own. Steps go on meanwhile, and keep theirs. */
export async function contained<T>(gpu: Gpu, start: () => Promise<T>): Promise<T> {
  const { started } = await containErrors(gpu, (contain) =>
    contain(() => {
      const started = start();
      started.catch(() => {}); // the caller receives the error
      return { started };
    }),
  );
  return started;
}
