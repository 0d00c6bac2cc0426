import { type Budget, NO_TIME } from '../../../demo/bench/models/budget.ts';
import type { SyntheticShape } from '../../../demo/bench/models/synthetic-model.ts';
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
  if (budget.isSpent) return bench.report.omit(PART, shape.name, NO_TIME);
  const { compiled: together } = await compile(bench, shape, () => false);
  const ms = Math.max(...together.map(({ endMs }) => endMs)) - Math.min(...together.map(({ startMs }) => startMs));
  const counts = `${together.length} pipelines as a load compiles them, from the first one's start to the last one's end`;
  bench.report.row({ part: PART, name: `${shape.name}, all`, counts, samples: [ms], figures: { pipelines: together.length } });
  if (budget.isSpent) return bench.report.omit(PART, `${shape.name}, each alone`, NO_TIME);
  const { compiled: alone, numOthers } = await compile(bench, shape, () => !budget.isSpent);
  for (const [i, { label, startMs, endMs }] of alone.entries()) {
    const [kernel = ''] = label.split(' ');
    bench.report.row({ part: PART, name: `${shape.name}, pipeline ${i}, ${kernel}`, counts: label, samples: [endMs - startMs], figures: {} });
  }
  if (numOthers > 0) bench.report.omit(PART, `${shape.name}, ${numOthers} other pipelines`, NO_TIME);
}

/**
 * Loads a model on a device of its own, which has compiled nothing.
 *
 * @param isAlone whether the next pipeline waits for those before it. Once it does not, no others are timed.
 * @returns the pipelines that were timed, and the number of others
 */
async function compile({ gpu }: RunBench, shape: SyntheticShape, isAlone: () => boolean) {
  const isTogether = !isAlone();
  const compiled: Compiled[] = [];
  let numOthers = 0;
  const timedGpu = withDevices(gpu, (request) => async (descriptor) => {
    const device = await request(descriptor);
    const create = device.createComputePipelineAsync.bind(device);
    let before: Promise<unknown> = Promise.resolve();
    const value = (pipeline: GPUComputePipelineDescriptor): Promise<GPUComputePipeline> => {
      const timed = async (): Promise<GPUComputePipeline> => {
        if (!isTogether && !isAlone()) {
          numOthers++;
          return create(pipeline);
        }
        const startMs = performance.now();
        const created = await create(pipeline);
        compiled.push({ label: pipeline.label ?? '', startMs, endMs: performance.now() });
        return created;
      };
      const compiling = isAlone() ? before.then(timed) : timed();
      before = compiling.catch(() => {});
      return compiling;
    };
    Object.defineProperty(device, 'createComputePipelineAsync', { value });
    return device;
  });
  await withModel(timedGpu, shape, {}, async () => {});
  return { compiled, numOthers };
}
