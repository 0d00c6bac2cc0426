import { closeSync, openSync, readSync, statSync } from 'node:fs';
import type { ByteSource } from '../../../src/core/byte-source.ts';
import { TabserveError } from '../../../src/core/errors.ts';
import { type Budget, NO_TIME } from '../../../demo/bench/models/budget.ts';
import { loadSubject, type Subject as ModelSubject } from '../../../demo/bench/models/load-model.ts';
import { ModelRuns } from '../../../demo/bench/models/model-runs.ts';
import { SYNTHETIC_SHAPES, syntheticModel, type SyntheticShape } from '../../../demo/bench/models/synthetic-model.ts';
import { median } from '../../../demo/bench/statistics.mjs';
import type { Bench } from './bench.ts';
import { cpuMs } from './cpu-time.ts';

/** A model on the GPU, with room for the largest batch. */
export interface Subject extends ModelSubject {
  readonly runs: ModelRuns;
}

/** Loads a model; a row says how fast. */
async function load({ gpu, sizes, report }: Bench, part: string, source: ByteSource): Promise<Subject> {
  const tokens = Math.max(sizes.context + sizes.decodeTokens, sizes.prefillTokens + 1);
  const sequences = Math.max(...sizes.batches);
  const subject = await loadSubject(source, { sequences, tokens }, gpu);
  const { loaded, loadMs, fileBytes } = subject;
  report.row({
    part,
    name: `${loaded.config.name}, load`,
    counts: `reading ${(fileBytes / 1e6).toFixed(0)} MB, repacking, upload and compiling`,
    samples: [loadMs],
    figures: { 'MB/s': fileBytes / loadMs / 1000 },
  });
  return { ...subject, runs: new ModelRuns(loaded, sequences, tokens) };
}

/** The model of the options; undefined, and said so, where its file is not there. */
export async function loadModel(bench: Bench, part: string): Promise<Subject | undefined> {
  const { model } = bench.options;
  const { size } = statSync(model, { throwIfNoEntry: false }) ?? {};
  if (size === undefined) {
    bench.report.omit(part, model, 'there is no such file (--model names one)');
    return undefined;
  }
  const descriptor = openSync(model, 'r');
  const read = async (offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> => {
    const bytes = new Uint8Array(length);
    readSync(descriptor, bytes, 0, length, offset);
    return bytes;
  };
  try {
    return await load(bench, part, { id: model, size, read });
  } finally {
    closeSync(descriptor);
  }
}

/** Prompt tokens a second, one sequence. */
export async function prefillRow({ sizes, report }: Bench, budget: Budget, part: string, subject: Subject): Promise<void> {
  const { runs, loaded } = subject;
  const { prefillTokens } = sizes;
  await runs.prefill(1); // what is slow the first time
  const before = cpuMs();
  const samples = await budget.repeat(sizes.prefillRepeats, () => runs.prefill(prefillTokens));
  const cpu = (cpuMs() - before) / samples.length;
  report.row({
    part,
    name: `${loaded.config.name}, prefill`,
    counts: `a prompt of ${prefillTokens} tokens, ${loaded.scheduler.maxNumBatchedTokens} a step`,
    samples,
    figures: { 'tok/s': (prefillTokens / median(samples)) * 1000, 'CPU ms a token': cpu / prefillTokens },
  });
}

/**
 * Tokens a second of batches, all sequences together; E(B) is what a batch of B gives over B times what one sequence
 * gives alone, where that was measured before.
 */
export async function decodeRows(
  bench: Bench,
  budget: Budget,
  part: string,
  subject: Subject,
  batches: readonly number[],
): Promise<void> {
  const { sizes, report } = bench;
  const { runs, loaded, work } = subject;
  const { context, decodeTokens } = sizes;
  const { maxStepsPerPlan, maxPlansInFlight = 1 } = loaded.scheduler;
  await runs.prefill(context);
  if (Math.max(...batches) > 1) await runs.copyContext(context);
  let alone: number | undefined;
  for (const batch of batches) {
    const name = `${loaded.config.name}, decode, ${batch} at once`;
    if (budget.isSpent) {
      report.omit(part, name, NO_TIME);
      continue;
    }
    await runs.decode(batch, context, Math.min(decodeTokens, maxStepsPerPlan)); // slow the first time
    const before = { ...loaded.counters(), cpu: cpuMs() };
    const samples = await budget.repeat(sizes.decodeRepeats, () => runs.decode(batch, context, decodeTokens));
    const after = { ...loaded.counters(), cpu: cpuMs() };
    const steps = after.steps - before.steps;
    const stepMs = median(samples) / decodeTokens;
    const speed = (batch / stepMs) * 1000;
    if (batch === 1) alone = speed;
    report.row({
      part,
      name,
      counts: `${decodeTokens} steps from a context of ${context}, ${maxStepsPerPlan} a plan, ${maxPlansInFlight} in flight`,
      samples,
      figures: {
        'tok/s': speed,
        'ms a step': stepMs,
        ...(batch > 1 && alone !== undefined && { 'E(B)': speed / (batch * alone) }),
        ...bench.readFigures(work.weightBytes / stepMs / 1e6),
        'dispatches a step': (after.dispatches - before.dispatches) / steps,
        'CPU ms a step': (after.cpu - before.cpu) / steps,
      },
    });
  }
}

/** Models of random weights, so that no file is needed. */
export async function syntheticPart(
  bench: Bench,
  budget: Budget,
  part = 'synthetic',
  shapes: readonly SyntheticShape[] = bench.sizes.shapes.map((key) => SYNTHETIC_SHAPES[key]),
): Promise<void> {
  const { report, sizes } = bench;
  for (const shape of shapes) {
    if (budget.isSpent) {
      report.omit(part, shape.name, NO_TIME);
      continue;
    }
    let subject: Subject | undefined;
    try {
      subject = await load(bench, part, syntheticModel(shape));
      await decodeRows(bench, budget, part, subject, [1, Math.max(...sizes.batches)]);
      await prefillRow(bench, budget, part, subject);
    } catch (error) {
      // The next one may be smaller, or the failure this one's alone.
      report.omit(part, shape.name, String(error));
      // A small GPU has no room for a large model, which says nothing about others' figures.
      if (!(error instanceof TabserveError && error.code === 'out_of_memory')) report.failure(`${part}: ${shape.name} failed`);
    } finally {
      subject?.loaded.destroy();
    }
  }
}
