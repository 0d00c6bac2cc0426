import { sleep } from '../../../src/core/sleep.ts';
import { openGpu } from '../../../src/gpu/device.ts';
import type { Budget } from '../../../demo/bench/models/budget.ts';
import { NoAdapterError, openDawn } from '../../support/open-dawn.ts';
import { Bench } from '../dawn/bench.ts';
import { Report } from '../dawn/report.ts';
import { machineFacts } from '../machine.mjs';
import { adapterPart } from './adapter-part.ts';
import { attentionPart } from './attention-part.ts';
import { compilingPart } from './compiling-part.ts';
import { correctnessPart } from './correctness-part.ts';
import { modelsPart } from './models-part.ts';
import { EXIT_NO_GPU, type Part, PART_SECONDS, readOptions, refusalOf, type RunBench, sizesFor, TOTAL_SECONDS } from './plan.ts';
import { productsPart } from './products-part.ts';
import { runParts, type TimedPart } from './run-parts.ts';
import { variantsPart } from './variants-part.ts';

/** The version that is measured; pack.mjs puts it here. */
declare const __BENCH_COMMIT__: string;
declare const __BENCH_VERSION__: string;

const RUNS: Readonly<Record<Part, (bench: RunBench, budget: Budget) => Promise<void>>> = {
  adapter: adapterPart,
  correctness: correctnessPart,
  variants: variantsPart,
  products: productsPart,
  attention: attentionPart,
  models: modelsPart,
  compiling: compilingPart,
};

process.exitCode = await main();

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  const report = new Report(options.json);
  const machine = machineFacts(); // before anything is done here
  const startedMs = options.started === undefined ? Date.now() : 1000 * options.started;
  const seconds = (): number => (Date.now() - startedMs) / 1000;
  const end = (code: number): number => {
    report.end(seconds());
    return code;
  };
  const opened = await open().catch((error: unknown) => ({ error }));
  if ('error' in opened) {
    report.failure(String(opened.error));
    return end(opened.error instanceof NoAdapterError ? EXIT_NO_GPU : 1);
  }
  const { gpu, adapter, close } = opened;
  report.head({
    suite: 'gpu-run', version: __BENCH_VERSION__, commit: __BENCH_COMMIT__, date: new Date().toISOString(),
    command: ['sh run.sh', ...process.argv.slice(2)].join(' ').replace(/ --started \d+/, ''), runtime: `Node ${process.version.slice(1)}`,
    ...machine, adapter, options: { parts: options.parts, allowSoftware: options.allowSoftware }, model: null,
  });
  const refusal = refusalOf(adapter, options);
  if (refusal !== undefined) {
    report.failure(refusal);
    close();
    return end(EXIT_NO_GPU);
  }
  const sizes = sizesFor(adapter.isSoftware);
  const bench = new Bench({ gpu, report, options: { model: '' }, sizes });
  const parts = options.parts.map((name): TimedPart => ({ name, seconds: PART_SECONDS[name], run: (budget) => RUNS[name](bench, budget) }));
  const allEnded = await runParts(parts, {
    report, endsAt: startedMs + 1000 * TOTAL_SECONDS, now: Date.now, sleep,
  });
  const code = end(report.hasFailed ? 1 : 0);
  if (!allEnded) process.exit(code); // it may never end
  close();
  return code;
}

async function open() {
  // Dawn keeps f16 from NVIDIA's Vulkan driver otherwise.
  const { gpu, close } = await openDawn(['vulkan_enable_f16_on_nvidia']);
  const { device, adapter } = await openGpu(gpu);
  device.destroy();
  return { gpu, adapter, close };
}
