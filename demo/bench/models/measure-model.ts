import type { StepCounters } from '../../../src/core/metrics.ts';
import { type AdapterLimits, ceilingShare } from '../../../src/core/profile.ts';
import type { RowList } from '../rows.ts';
import { median } from '../statistics.mjs';
import { type Budget, NO_TIME } from './budget.ts';
import { runsOf, type Subject } from './load-model.ts';
import type { ModelRuns } from './model-runs.ts';
import type { ModelSizes } from './sizes.ts';
import type { Work } from './step-work.ts';

/** A model that is measured. */
export interface Measured {
  readonly subject: Subject;
  /** What rows call it. */
  readonly name: string;
  readonly sizes: ModelSizes;
  readonly limits: AdapterLimits;
  readonly budget: Budget;
  readonly list: RowList;
}

/** Counts of a decode step: what a row calls them, and their unit. */
const COUNTS = [
  ['dispatches', 'dispatches a step', ''],
  ['submits', 'submits a step', ''],
  ['bindGroupsCreated', 'bind groups created a step', ''],
  ['bytesReadBack', 'read back a step', 'B'],
] as const satisfies readonly (readonly [counter: keyof StepCounters, metric: string, unit: string])[];

/** Rows of prompts and of decode steps, for each context and batch that there is room and time for. */
export async function measureModel(measured: Measured): Promise<void> {
  const { subject, name, sizes, budget, list } = measured;
  const { scheduler } = subject.loaded;
  for (const context of sizes.contexts) {
    const scene = `${name}, context ${context}`;
    if (budget.isSpent) {
      list.omit(scene, NO_TIME);
      continue;
    }
    const tokens = context + sizes.decodeTokens;
    const runs = runsOf(subject, Math.max(...sizes.batches), tokens);
    if (runs === undefined) {
      list.omit(scene, `the model and its KV cache hold ${scheduler.maxModelLen} tokens of a sequence`);
      continue;
    }
    await measurePrefill(measured, runs, context);
    if (runs.sequences > 1) await runs.copyContext(context);
    for (const batch of sizes.batches) {
      if (budget.isSpent) list.omit(`${scene}, ${batch} at once`, NO_TIME);
      else if (batch > runs.sequences) list.omit(`${scene}, ${batch} at once`, `the KV cache holds ${runs.sequences}`);
      else await measureDecode(measured, runs, context, batch);
    }
  }
}

async function measurePrefill(measured: Measured, runs: ModelRuns, tokens: number): Promise<void> {
  const { subject, name, sizes, budget, list } = measured;
  const chunk = subject.loaded.scheduler.maxNumBatchedTokens;
  await runs.prefill(Math.min(tokens, chunk)); // slow the first time
  const samples = await budget.repeat(sizes.repeats, () => runs.prefill(tokens));
  list.add({
    metric: 'prefill',
    dimensions: { model: name, context: tokens },
    unit: 'tok/s',
    better: 'higher',
    samples: samples.map((ms) => (tokens / ms) * 1000),
    ...roofline(measured, subject.work.prefill(tokens, chunk), median(samples)),
  });
}

async function measureDecode(measured: Measured, runs: ModelRuns, context: number, batch: number): Promise<void> {
  const { subject, name, sizes, budget, list } = measured;
  const { loaded, work } = subject;
  const { decodeTokens: tokens, repeats } = sizes;
  await runs.decode(batch, context, Math.min(tokens, loaded.scheduler.maxStepsPerPlan)); // slow the first time
  const before = loaded.counters();
  const samples = await budget.repeat(repeats, () => runs.decode(batch, context, tokens));
  const after = loaded.counters();
  const stepMs = samples.map((ms) => ms / tokens);
  const dimensions = { model: name, context, batch };
  const share = roofline(measured, work.decodeStep(batch, context), median(stepMs));
  const speeds = stepMs.map((ms) => (batch / ms) * 1000);
  list.add({ metric: 'decode', dimensions, unit: 'tok/s', better: 'higher', samples: speeds, ...share });
  list.add({ metric: 'decode step', dimensions, unit: 'ms', better: 'lower', samples: stepMs });
  for (const [counter, metric, unit] of COUNTS) {
    const perStep = (after[counter] - before[counter]) / (after.steps - before.steps);
    list.add({ metric, dimensions, unit, better: 'neither', samples: [perStep] });
  }
}

/** How near `work` in so many milliseconds comes to the nearer of the adapter's ceilings. */
function roofline({ limits }: Measured, { bytes, macs }: Work, ms: number): { readonly roofline?: number } {
  const share = ceilingShare({ gbps: bytes / ms / 1e6, gflops: (2 * macs) / ms / 1e6 }, limits);
  return share === undefined ? {} : { roofline: share };
}
