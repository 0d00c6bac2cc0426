import { type Budget, NO_TIME } from '../../../demo/bench/models/budget.ts';
import type { SyntheticShape } from '../../../demo/bench/models/synthetic-model.ts';
import { median } from '../../../demo/bench/statistics.mjs';
import type { Trial, Tunable } from '../../../src/tuning/tunable.ts';
import type { RunBench } from './plan.ts';
import { withModel } from './open-model.ts';

const PART = 'variants';
/** Tokens a lane of the products whose variants are timed: those of decode, and of prompts. */
const WIDTHS: readonly number[] = [1, 8];
const REPEATS = 3;
const MAX_DISPATCHES = 2048;

/** Each variant's time of the products of each model, on the weights of all its layers in turn. */
export async function variantsPart(bench: RunBench, budget: Budget): Promise<void> {
  for (const shape of bench.sizes.variantShapes) {
    if (budget.isSpent) bench.report.omit(PART, shape.name, NO_TIME);
    else await timeModel(bench, budget, shape);
  }
}

async function timeModel(bench: RunBench, budget: Budget, shape: SyntheticShape): Promise<void> {
  await withModel(bench.gpu, shape, {}, async ({ tunables }) => {
    const products = tunables.filter(({ name, candidates }) => name.startsWith('matmul') && candidates.length > 0);
    const widths = WIDTHS.map((tokens) => products.filter((each) => each.tokens === tokens));
    for (const tunable of widths.flat()) {
      const name = `${shape.name}, ${tunable.name}, ${tunable.tokens} a lane`;
      if (budget.isSpent) bench.report.omit(PART, name, NO_TIME);
      else await timeVariants(bench, budget, name, tunable);
    }
  });
}

async function timeVariants({ report, sizes }: RunBench, budget: Budget, name: string, tunable: Tunable): Promise<void> {
  const trial = await tunable.prepare(tunable.candidates.slice(0, sizes.mostVariants), new AbortController().signal);
  const [initial = ''] = trial.variants;
  const idleMs = Math.min(await trial.time(initial, 0), await trial.time(initial, 0), await trial.time(initial, 0));
  const dispatches = await dispatchesFor(trial, initial, idleMs + sizes.variantMs);
  let defaultMs = NaN;
  for (const variant of trial.variants) {
    await trial.time(variant, 1); // slow the first time
    const samples = await budget.repeat(REPEATS, async () => Math.max(0, (await trial.time(variant, dispatches)) - idleMs) / dispatches);
    const ms = median(samples);
    if (variant === initial) defaultMs = ms;
    report.row({
      part: PART,
      name: `${name}, ${variant}${variant === initial ? ' (default)' : ''}`,
      counts: `a dispatch of ${tunable.trialStep.tokens} tokens, mean of ${dispatches} by wall clock less that of an empty submit`,
      samples,
      figures: { us: 1000 * ms, 'of the default': ms / defaultMs },
    });
  }
  for (const variant of trial.refused) report.omit(PART, `${name}, ${variant}`, 'it does not compile');
}

/** The number of dispatches that take about so many milliseconds, an empty submit included. */
async function dispatchesFor(trial: Trial, variant: string, wantedMs: number): Promise<number> {
  await trial.time(variant, 1);
  for (let count = 1; ; count = Math.min(MAX_DISPATCHES, 2 * count)) {
    if (count === MAX_DISPATCHES) return count;
    // Other work makes a run longer, never shorter.
    const ms = Math.min(await trial.time(variant, count), await trial.time(variant, count));
    if (ms >= wantedMs) return count;
  }
}
