import { existsSync } from 'node:fs';
import { openGpu } from '../../../src/gpu/device.ts';
import { openDawn } from '../../support/open-dawn.ts';
import { machineFacts } from '../machine.mjs';
import { readModelFacts } from '../model-facts.ts';
import { Budget } from '../../../demo/bench/models/budget.ts';
import { Bench } from './bench.ts';
import { attentionPart, matmulPart } from './kernel-parts.ts';
import { limitsPart } from './limits-part.ts';
import { decodeRows, loadModel, prefillRow, type Subject, syntheticPart } from './model-parts.ts';
import { budgetOf, GRACE_SECONDS, type Part, readOptions, sizesFor } from './options.ts';
import { Report } from './report.ts';

/** What version is measured; pack.mjs puts it here. */
declare const __BENCH_COMMIT__: string;
declare const __BENCH_VERSION__: string;

const options = readOptions(process.argv.slice(2));
const machine = machineFacts(); // before anything is done here
const report = new Report(options.json);
const start = performance.now();
const seconds = (): number => (performance.now() - start) / 1000;
const { gpu, info, close } = await openDawn();
const { device, adapter } = await openGpu(gpu);
device.destroy();
report.head({
  suite: 'dawn',
  version: __BENCH_VERSION__,
  commit: __BENCH_COMMIT__,
  date: new Date().toISOString(),
  command: process.env['TABSERVE_BENCH_COMMAND'] ?? ['node', ...process.argv.slice(1)].join(' '),
  runtime: `Node ${process.version.slice(1)}`,
  ...machine,
  adapter,
  options: { quick: options.quick, patience: options.patience, shapes: options.shapes ?? 'what suits the adapter' },
  model: existsSync(options.model) ? { ...(await readModelFacts(options.model, adapter.isSoftware)), isStandIn: false } : null,
});
const budgets = new Map(options.parts.map((part) => [part, budgetOf(part, info.isFallbackAdapter, options)]));
const giveUp = setTimeout(
  () => {
    report.failure('the GPU did not answer in time, the run was cut short');
    report.end(seconds());
    process.exit(1);
  },
  ([...budgets.values()].reduce((a, b) => a + b, 0) + GRACE_SECONDS) * 1000,
);
const bench = new Bench({ gpu, report, options, sizes: sizesFor(info.isFallbackAdapter, options) });
let subject: Subject | undefined;
for (const [part, partSeconds] of budgets) {
  const budget = new Budget(partSeconds);
  try {
    await measure(part, budget);
  } catch (error) {
    // Each part on its own: one that fails leaves the others' figures.
    report.omit(part, 'the rest', error instanceof Error ? (error.stack ?? error.message) : String(error));
    report.failure(`${part} failed`);
    process.exitCode = 1;
  }
}
clearTimeout(giveUp);
subject?.loaded.destroy();
close();
report.end(seconds());

async function measure(part: Part, budget: Budget): Promise<void> {
  if (part === 'limits') return limitsPart(bench);
  if (part === 'matmul') return matmulPart(bench, budget);
  if (part === 'attention') return attentionPart(bench, budget);
  if (part === 'synthetic') {
    subject?.loaded.destroy(); // the largest shape may need the whole GPU
    subject = undefined;
    return syntheticPart(bench, budget);
  }
  subject ??= await loadModel(bench, part);
  if (subject === undefined) return undefined;
  if (part === 'prefill') return prefillRow(bench, budget, part, subject);
  return decodeRows(bench, budget, part, subject, part === 'decode' ? [1] : bench.sizes.batches);
}
