import { type Budget, NO_TIME } from '../../../demo/bench/models/budget.ts';
import { withDevices } from '../dawn/time-ops.ts';
import type { RunBench } from './plan.ts';
import { withModel } from './open-model.ts';

const PART = 'compiling';

/** One pipeline. */
interface Compiled {
  readonly label: string;
  readonly startMs: number;
  readonly endMs: number;
}

/** The time of each pipeline of a model compiled alone, and of all of them at once as a load compiles them. */
export async function compilingPart(bench: RunBench, budget: Budget): Promise<void> {
  const [shape] = bench.sizes.checkedShapes;
  if (shape === undefined) return;
  const together = await compile(bench, budget, false);
  const ms = Math.max(...together.map(({ endMs }) => endMs)) - Math.min(...together.map(({ startMs }) => startMs));
  const counts = `${together.length} pipelines as a load compiles them, from the first one's start to the last one's end`;
  bench.report.row({ part: PART, name: `${shape.name}, all`, counts, samples: [ms], figures: { pipelines: together.length } });
  const alone = await compile(bench, budget, true);
  for (const [i, { label, startMs, endMs }] of alone.entries()) {
    const [kernel = ''] = label.split(' ');
    bench.report.row({ part: PART, name: `${shape.name}, pipeline ${i}, ${kernel}`, counts: label, samples: [endMs - startMs], figures: {} });
  }
}

/** Loads the first model that is checked on a device of its own, which has compiled nothing. */
async function compile({ gpu, sizes }: RunBench, budget: Budget, isAlone: boolean): Promise<readonly Compiled[]> {
  const [shape] = sizes.checkedShapes;
  if (shape === undefined || budget.isSpent) throw new Error(NO_TIME);
  const compiled: Compiled[] = [];
  const timed = withDevices(gpu, (request) => async (descriptor) => {
    const device = await request(descriptor);
    const create = device.createComputePipelineAsync.bind(device);
    let before: Promise<unknown> = Promise.resolve();
    const value = (pipeline: GPUComputePipelineDescriptor): Promise<GPUComputePipeline> => {
      const compiling = (isAlone ? before : Promise.resolve()).then(async () => {
        if (isAlone && budget.isSpent) throw new Error(NO_TIME);
        const startMs = performance.now();
        const created = await create(pipeline);
        compiled.push({ label: pipeline.label ?? '', startMs, endMs: performance.now() });
        return created;
      });
      before = compiling.catch(() => {});
      return compiling;
    };
    Object.defineProperty(device, 'createComputePipelineAsync', { value });
    return device;
  });
  await withModel(timed, shape, {}, async () => {});
  return compiled;
}
