import type { Gpu } from '../gpu/device.ts';
import type { OpBuilder } from '../gpu/op.ts';
import { scenesOf } from '../gpu/check-scene.ts';
import { type CheckRun, OutputCheck } from '../gpu/output-check.ts';
import type { VariantSet } from '../gpu/variant-set.ts';
import { contained } from './gpu-trial.ts';
import type { KernelWidths } from './tunable.ts';

/** The kernels that a model has in several widths. */
export function kernelWidthsOf(gpu: Gpu, builder: OpBuilder): readonly KernelWidths[] {
  let check: Promise<OutputCheck> | undefined;
  const outputCheck = (): Promise<OutputCheck> => (check ??= OutputCheck.create(gpu));
  const families = new Map<object, VariantSet[]>();
  for (const set of builder.variantSets) {
    const family = families.get(set.options.family) ?? [];
    family.push(set);
    families.set(set.options.family, family);
  }
  return [...families.values()].flatMap((sets): KernelWidths[] => {
    const [narrowest, ...wider] = sets.toSorted((a, b) => a.options.tokens - b.options.tokens);
    if (narrowest === undefined || wider.length === 0) return [];
    return [{
      name: narrowest.options.name,
      key: sets.map(({ key }) => key).join('\n'),
      prepare: async () => {
        for (const set of sets) await contained(gpu, () => set.ready());
      },
      comparisons: wider.flatMap((set) => scenesFor(narrowest).map((_, i) => async () => compare(await outputCheck(), narrowest, set, i))),
      useNarrowest: () => {
        for (const set of wider) set.retire();
      },
    }];
  });
}

function scenesFor({ options }: VariantSet) {
  return scenesOf(options.checkScene());
}

/** @param index of the scene */
async function compare(check: OutputCheck, narrowest: VariantSet, wider: VariantSet, index: number): Promise<boolean> {
  const { buffers: [buffers], options: { spec } } = narrowest;
  const scene = scenesFor(narrowest)[index];
  if (buffers === undefined || scene === undefined) throw new Error(`${spec.name} has no op`);
  return check.agree({ spec, buffers, scene }, runOf(narrowest), runOf(wider));
}

/** A default with the step inputs of its own width. */
function runOf({ initialPipeline, options: { initial, checkScene } }: VariantSet): CheckRun {
  return { pipeline: initialPipeline, grid: initial.checkGrid, words: checkScene().words };
}
