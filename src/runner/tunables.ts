import type { Contest, LateKernel, Tunable } from '../core/tuning.ts';
import type { Choice, Way } from '../gpu/choice.ts';
import { explainFailure, type Gpu } from '../gpu/device.ts';
import { containErrors } from '../gpu/error-scope.ts';
import type { OpBuilder } from '../gpu/op.ts';

/** The choices that the GPU offers, for races. A race writes nothing that a step would read, and needs hardly any memory. */
export function tunablesOf(gpu: Gpu, builder: OpBuilder): readonly Tunable[] {
  let commons: RaceCommons | undefined;
  return builder.choices.map((choice) => ({
    key: choice.key,
    name: choice.options.name,
    tokens: choice.options.tokens,
    get way() {
      return choice.way.name;
    },
    prepare: () => GpuContest.open(gpu, builder, choice, (commons ??= raceCommons(gpu.device))),
  }));
}

/** The choices that steps do without until they are compiled. */
export function lateKernelsOf(gpu: Gpu, builder: OpBuilder): readonly LateKernel[] {
  return builder.choices.filter(({ isReady }) => !isReady).map((choice) => ({
    tokens: choice.options.tokens,
    compile: () => contained(gpu, () => choice.ready()),
  }));
}

/** What all races of a device share; they take turns. */
interface RaceCommons {
  /** Copied to the probe. */
  readonly source: GPUBuffer;
  /** Mapped when a race is over. */
  readonly probe: GPUBuffer;
  readonly clockMs: number;
}

function raceCommons(device: GPUDevice): RaceCommons {
  const { COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  return {
    source: device.createBuffer({ label: 'race source', size: 16, usage: COPY_SRC }),
    probe: device.createBuffer({ label: 'race probe', size: 16, usage: MAP_READ | COPY_DST }),
    clockMs: clockStep(),
  };
}

/** Milliseconds from one tick of the clock to the next, and for a clock that stands still for long, infinite. */
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

/** A way that compiles. */
interface Runner {
  readonly way: Way;
  readonly pipeline: GPUComputePipeline;
}

/**
 * Runs ops of one choice on their own buffers, those of all layers in turn, but for a step's inputs. A matmul is told that
 * there are no rows: it does all its work and writes nothing, for it looks how many there are only when it has outputs,
 * and no compiler knows that there are none. Attention gets rows of a long context, and overwrites what it does in a step.
 */
class GpuContest implements Contest {
  readonly ways: readonly string[];
  readonly clockMs: number;
  readonly #gpu: Gpu;
  readonly #choice: Choice;
  readonly #runners: ReadonlyMap<string, Runner>;
  readonly #bindGroups: readonly GPUBindGroup[];
  readonly #commons: RaceCommons;

  private constructor(gpu: Gpu, builder: OpBuilder, choice: Choice, runners: readonly Runner[], commons: RaceCommons) {
    this.#gpu = gpu;
    this.#choice = choice;
    this.#runners = new Map(runners.map((runner) => [runner.way.name, runner]));
    this.#commons = commons;
    this.clockMs = commons.clockMs;
    this.ways = [...this.#runners.keys()];
    const inputs = Object.entries(choice.options.raceInputs()).map(([name, words]) => [name, raceInput(gpu.device, words)]);
    const standIns = Object.fromEntries(inputs) as Record<string, GPUBuffer>;
    this.#bindGroups = choice.buffers.map((own) => builder.bindApart(choice.options.spec, { ...own, ...standIns }));
  }

  /** Ways that do not compile, whatever a driver has against them, are left out. */
  static async open(gpu: Gpu, builder: OpBuilder, choice: Choice, commons: RaceCommons): Promise<GpuContest> {
    await contained(gpu, () => choice.ready());
    const compile = (way: Way): Promise<GPUComputePipeline> =>
      way.name === choice.way.name ? Promise.resolve(choice.pipeline) : contained(gpu, () => choice.compile(way));
    const compiled = await Promise.allSettled(
      choice.ways().map(async (way): Promise<Runner> => ({ way, pipeline: await compile(way) })),
    );
    const runners = compiled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    return new GpuContest(gpu, builder, choice, runners, commons);
  }

  async time(name: string, dispatches: number): Promise<number> {
    const { device, lost } = this.#gpu;
    const { probe } = this.#commons;
    const runner = this.#runner(name);
    let start = 0;
    const submitted = containErrors(this.#gpu, (contain) =>
      contain(() => {
        const commands = this.#encode(runner, dispatches);
        start = performance.now();
        device.queue.submit([commands]);
      }),
    );
    submitted.catch(() => {}); // said below, or by the probe
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

  use(name: string): void {
    const { way, pipeline } = this.#runner(name);
    this.#choice.use(way, pipeline);
  }

  #encode({ way, pipeline }: Runner, dispatches: number): GPUCommandBuffer {
    const encoder = this.#gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    for (let i = 0; i < dispatches; i++) {
      pass.setBindGroup(0, this.#bindGroups[i % this.#bindGroups.length]);
      pass.dispatchWorkgroups(...way.raceGrid);
    }
    pass.end();
    encoder.copyBufferToBuffer(this.#commons.source, 0, this.#commons.probe, 0, 16);
    return encoder.finish();
  }

  #runner(name: string): Runner {
    const runner = this.#runners.get(name);
    if (runner === undefined) throw new Error(`there is no ${name} to race`);
    return runner;
  }
}

function raceInput(device: GPUDevice, words: Uint32Array<ArrayBuffer>): GPUBuffer {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
  const buffer = device.createBuffer({ label: 'race input', size: words.byteLength, usage });
  device.queue.writeBuffer(buffer, 0, words);
  return buffer;
}

/** Errors of what `start` does at once are its own, and no step's: steps go on while it is under way. */
async function contained<T>(gpu: Gpu, start: () => Promise<T>): Promise<T> {
  const { started } = await containErrors(gpu, (contain) =>
    contain(() => {
      const started = start();
      started.catch(() => {}); // whoever waits for it hears of it
      return { started };
    }),
  );
  return started;
}
