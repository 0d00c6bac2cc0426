import type { SyntheticShape } from '../../../demo/bench/models/synthetic-model.ts';
import { type Budget, NO_TIME } from '../../../demo/bench/models/budget.ts';
import { TabserveError } from '../../../src/core/errors.ts';
import { openGpu } from '../../../src/gpu/device.ts';
import type { LoadedRunner } from '../../../src/runner/load-runner.ts';
import type { KernelWidths, Tunable } from '../../../src/tuning/tunable.ts';
import { comparePromptChunks } from './chunkings.ts';
import { withModel } from './open-model.ts';
import { type CheckedSettings, checkedSettings, type RunBench } from './plan.ts';

const PART = 'correctness';

/**
 * Checks a model's kernels in each of the ways in which they are built: sampled outputs against the CPU's, as each load does;
 * all bits of each width against the narrowest's, and of each variant against the default's; and of a prompt in chunks.
 */
export async function correctnessPart(bench: RunBench, budget: Budget): Promise<void> {
  const { device, supportedNumerics, hasSubgroups } = await openGpu(bench.gpu, 'f16');
  device.destroy();
  for (const settings of checkedSettings(supportedNumerics, hasSubgroups)) {
    for (const shape of bench.sizes.checkedShapes) await checkModel(bench, budget, shape, settings);
  }
}

/** One that cannot be checked does not keep others from it. */
async function checkModel(bench: RunBench, budget: Budget, shape: SyntheticShape, settings: CheckedSettings): Promise<void> {
  const { report, gpu } = bench;
  const { numerics, kvCacheDtype, subgroups } = settings;
  const name = `${shape.name}, ${numerics}, KV ${kvCacheDtype}, ${subgroups ? 'subgroups' : 'no subgroups'}`;
  if (budget.isSpent) return report.omit(PART, name, NO_TIME);
  const warnings: string[] = [];
  const log = (level: string, message: string): void => {
    if (level === 'warn') warnings.push(message);
  };
  const tell = (passed: boolean, detail: string): void => report.check({ part: PART, name: `${name}: known answers`, passed, detail });
  try {
    await withModel(gpu, shape, { ...settings, log }, async (loaded) => {
      // A kernel with subgroups that is wrong is replaced at load, with a warning.
      tell(warnings.length === 0, warnings.length === 0 ? 'all within their tolerances of the CPU' : warnings.join(' '));
      for (const widths of loaded.kernelWidths) await checkWidths(bench, budget, name, widths);
      for (const tunable of loaded.tunables) await checkVariants(bench, budget, name, tunable);
      await checkChunks(bench, budget, name, loaded);
    });
  } catch (error) {
    if (error instanceof TabserveError && error.code === 'wrong_results') return tell(false, error.message);
    report.omit(PART, name, String(error));
    report.failure(`${PART}: ${name} could not be checked`);
  }
}

/** All bits of each width against the narrowest's. */
export async function checkWidths({ report }: Pick<RunBench, 'report'>, budget: Budget, name: string, widths: KernelWidths): Promise<void> {
  const title = `${name}: widths of ${widths.name}`;
  if (budget.isSpent) return report.omit(PART, title, NO_TIME);
  await widths.prepare();
  const wrong: number[] = [];
  for (const [i, compare] of widths.comparisons.entries()) if (!(await compare())) wrong.push(i);
  const detail = `${widths.comparisons.length} comparisons${wrong.length === 0 ? '' : `, of which other bits: ${wrong.join(', ')}`}`;
  report.check({ part: PART, name: title, passed: wrong.length === 0, detail });
}

/** The parts of a bench that a check of variants takes. */
type VariantsBench = Pick<RunBench, 'report'> & { readonly sizes: Pick<RunBench['sizes'], 'mostVariants'> };

/** All bits of each variant against the default's. */
export async function checkVariants({ report, sizes }: VariantsBench, budget: Budget, name: string, tunable: Tunable): Promise<void> {
  const candidates = tunable.candidates.slice(0, sizes.mostVariants);
  const title = `${name}: variants of ${tunable.name}, ${tunable.tokens} a lane`;
  if (candidates.length === 0) return;
  if (budget.isSpent) return report.omit(PART, title, NO_TIME);
  const trial = await tunable.prepare(candidates, new AbortController().signal);
  const [, ...others] = trial.variants;
  const wrong: string[] = [];
  for (const variant of others) if (!(await trial.agrees(variant))) wrong.push(variant);
  for (const variant of trial.refused) report.omit(PART, `${title}, ${variant}`, 'it does not compile');
  const detail = `${others.length} variants${wrong.length === 0 ? '' : `, other bits than the default: ${wrong.join(', ')}`}`;
  report.check({ part: PART, name: title, passed: wrong.length === 0, detail });
}

async function checkChunks({ report }: RunBench, budget: Budget, name: string, loaded: LoadedRunner): Promise<void> {
  const title = `${name}: chunks of a prompt`;
  if (budget.isSpent) return report.omit(PART, title, NO_TIME);
  const { wrong, compared } = await comparePromptChunks(loaded);
  const detail = `KV cache and first token, in chunks of ${compared.join(', ')}${wrong.length === 0 ? '' : `, other bits in chunks of ${wrong.join(', ')}`}`;
  report.check({ part: PART, name: title, passed: wrong.length === 0, detail });
}
