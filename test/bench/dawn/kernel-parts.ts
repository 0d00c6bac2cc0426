import { openGpu } from '../../../src/gpu/device.ts';
import { OpBuilder } from '../../../src/gpu/op.ts';
import { median } from '../statistics.mjs';
import type { Bench } from './bench.ts';
import type { Budget } from './budget.ts';
import { KernelOps } from './kernel-ops.ts';
import { OpTimer, shapeOf, withTimestamps } from './time-ops.ts';

/** Matrices as [type, rows, columns]: those of SmolLM2-135M, its head, and larger ones. */
const MATRICES = [
  ['Q4_1', 960, 576],
  ['Q4_1', 576, 576],
  ['Q4_1', 3072, 576],
  ['Q4_1', 576, 1536],
  ['Q8_0', 49_152, 576],
  ['Q4_1', 2048, 2048],
  ['Q4_1', 8192, 2048],
  ['Q4_1', 4096, 14_336],
] as const;

/** Attention of SmolLM2-135M and of Llama-3.1-8B. */
const HEADS = [
  { numHeads: 9, numKvHeads: 3, headSize: 64 },
  { numHeads: 32, numKvHeads: 8, headSize: 128 },
] as const;
const SEQUENCES = [1, 16] as const;

/** What is needed to time kernels on a device of their own. */
async function openKernels({ gpu }: Bench) {
  const opened = await openGpu(withTimestamps(gpu));
  const builder = new OpBuilder(opened.device);
  return { device: opened.device, builder, ops: new KernelOps(opened, builder), timer: new OpTimer(opened) };
}

/** The product's own matmul, for each shape and number of tokens. */
export async function matmulPart(bench: Bench, budget: Budget): Promise<void> {
  const { report, sizes } = bench;
  const { device, builder, ops: kernels, timer } = await openKernels(bench);
  const maxTokens = Math.max(...sizes.matmulTokens);
  for (const [type, rows, columns] of MATRICES) {
    const shape = `${type === 'Q8_0' ? 'INT8' : 'INT4'} ${rows}x${columns}`;
    if (budget.isSpent) {
      report.omit('matmul', shape, 'no time left');
      continue;
    }
    const { ops, weightBytes, setTokens } = kernels.matmuls(type, rows, columns, maxTokens, sizes.workingSetBytes);
    await builder.ready();
    for (const tokens of sizes.matmulTokens) {
      setTokens(tokens);
      const timing = { targetMs: sizes.kernelMs, repeats: sizes.kernelRepeats, budget };
      const { samples, rounds } = await timer.time(ops, shapeOf(tokens), timing);
      const perMs = 1 / median(samples) / 1e6;
      report.row({
        part: 'matmul',
        name: `${shape}, M = ${tokens}`,
        counts: `a dispatch, mean of ${rounds} by ${timer.clock} clock, ${ops.length} matrices in turn`,
        samples,
        figures: { 'GMAC/s': rows * columns * tokens * perMs, ...bench.readFigures(weightBytes * perMs) },
      });
    }
    kernels.clear();
  }
  device.destroy();
}

/** The product's own attention in decode: one token of each sequence. */
export async function attentionPart(bench: Bench, budget: Budget): Promise<void> {
  const { report, sizes } = bench;
  const { device, builder, ops: kernels, timer } = await openKernels(bench);
  for (const heads of HEADS) {
    for (const context of sizes.attentionContexts) {
      for (const sequences of SEQUENCES) {
        const { numHeads, numKvHeads, headSize } = heads;
        const name = `${numHeads} heads of ${headSize} over ${numKvHeads}, context ${context}, ${sequences} sequences`;
        if (budget.isSpent) {
          report.omit('attention', name, 'no time left');
          continue;
        }
        const { rounds: ops, cacheBytes } = kernels.attentions(heads, sequences, context, sizes.workingSetBytes);
        await builder.ready();
        const timing = { targetMs: sizes.kernelMs, repeats: sizes.kernelRepeats, budget };
        const { samples, rounds } = await timer.time(ops, shapeOf(sequences, context), timing);
        const perMs = 1 / median(samples) / 1e6;
        const macs = 2 * numHeads * headSize * context * sequences;
        report.row({
          part: 'attention',
          name,
          counts: `a layer, mean of ${rounds} by ${timer.clock} clock, ${ops.length} layers in turn`,
          samples,
          figures: { 'GMAC/s': macs * perMs, ...bench.readFigures(cacheBytes * perMs) },
        });
        kernels.clear();
      }
    }
  }
  device.destroy();
}
