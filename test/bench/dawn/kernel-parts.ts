import type { Numerics } from '../../../src/core/numerics.ts';
import { openGpu } from '../../../src/gpu/device.ts';
import { type Op, OpBuilder, type StepShape } from '../../../src/gpu/op.ts';
import { multiplyAdd } from '../../../src/kernels/shaders.ts';
import { type Budget, NO_TIME } from '../../../demo/bench/models/budget.ts';
import { median } from '../../../demo/bench/statistics.mjs';
import type { Bench } from './bench.ts';
import { KernelOps, type MatrixShape, shapeOf } from './kernel-ops.ts';
import { OpTimer, withTimestamps } from './time-ops.ts';

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
export async function openKernels({ gpu }: Pick<Bench, 'gpu'>, numerics: Numerics = 'f32') {
  const opened = await openGpu(withTimestamps(gpu), numerics);
  const builder = new OpBuilder(opened.device, { common: [multiplyAdd(opened.adapter)] });
  return { device: opened.device, builder, kernels: new KernelOps(opened, builder), timer: new OpTimer(opened) };
}
export type Kernels = Awaited<ReturnType<typeof openKernels>>;

/** Some ops to be timed, and what a round of them does. */
interface Timed {
  readonly part: string;
  readonly name: string;
  readonly rounds: readonly (readonly Op[])[];
  readonly shape: StepShape;
  /** What a round is, and what there are several of. */
  readonly each: readonly [round: string, others: string];
  /** Multiply-adds of a round, and bytes of weights, or of keys and values, that it reads. */
  readonly macs: number;
  readonly bytes: number;
}

/** Times ops and reports them. */
export async function measure({ sizes, report, readFigures }: Bench, budget: Budget, { builder, timer }: Kernels, timed: Timed): Promise<void> {
  const { part, name, rounds, shape, each, macs, bytes } = timed;
  await builder.ready();
  const timing = { targetMs: sizes.kernelMs, repeats: sizes.kernelRepeats, budget };
  const { samples, roundsEach } = await timer.time(rounds, shape, timing);
  const giga = 1 / median(samples) / 1e6; // of a round's, in units of 10^9 a second
  report.row({
    part,
    name,
    counts: `${each[0]}, mean of ${roundsEach} by ${timer.clock} clock, ${rounds.length} ${each[1]} in turn`,
    samples,
    figures: { 'GMAC/s': macs * giga, ...readFigures(bytes * giga) },
  });
}

/** The product's own matmul, for each shape and number of tokens. */
export async function matmulPart(bench: Bench, budget: Budget): Promise<void> {
  const opened = await openKernels(bench);
  await timeMatmuls(bench, budget, opened, 'matmul', MATRICES.map(([type, rows, columns]) => ({ type, rows, columns })));
  opened.device.destroy();
}

/** Products with matrices of these shapes, for each number of tokens. */
export async function timeMatmuls(bench: Bench, budget: Budget, opened: Kernels, part: string, shapes: readonly MatrixShape[]): Promise<void> {
  const { report, sizes } = bench;
  const maxTokens = Math.max(...sizes.matmulTokens);
  for (const shape of shapes) {
    const { type, rows, columns, numerics = 'f32' } = shape;
    const matrix = `${type === 'Q8_0' ? 'INT8' : 'INT4'} ${rows}x${columns}${numerics === 'f32' ? '' : ` in ${numerics}`}`;
    if (budget.isSpent) {
      report.omit(part, matrix, NO_TIME);
      continue;
    }
    const { ops, weightBytes, setTokens } = opened.kernels.matmuls(shape, maxTokens, sizes.workingSetBytes);
    for (const tokens of sizes.matmulTokens) {
      setTokens(tokens);
      await measure(bench, budget, opened, {
        part,
        name: `${matrix}, M = ${tokens}`,
        rounds: ops,
        shape: shapeOf(tokens),
        each: ['a dispatch', 'matrices'],
        macs: rows * columns * tokens,
        bytes: weightBytes,
      });
    }
    opened.kernels.clear();
  }
}

/** The product's own attention in decode: one token of each sequence. */
export async function attentionPart(bench: Bench, budget: Budget): Promise<void> {
  const { report, sizes } = bench;
  const opened = await openKernels(bench);
  const bindable = opened.device.limits.maxStorageBufferBindingSize;
  const scenes = HEADS.flatMap((heads) =>
    sizes.attentionContexts.flatMap((context) => SEQUENCES.map((sequences) => ({ heads, context, sequences }))),
  );
  for (const { heads, context, sequences } of scenes) {
    const { numHeads, numKvHeads, headSize } = heads;
    const name = `${numHeads} heads of ${headSize} over ${numKvHeads}, context ${context}, ${sequences} at once`;
    const isTooLarge = 4 * numKvHeads * headSize * context * sequences > bindable;
    if (budget.isSpent || isTooLarge) {
      report.omit('attention', name, isTooLarge ? `keys of more than the ${bindable} bytes that the device binds` : NO_TIME);
      continue;
    }
    const { rounds, cacheBytes } = opened.kernels.attentions({ heads, sequences, context }, sizes.workingSetBytes);
    await measure(bench, budget, opened, {
      part: 'attention',
      name,
      rounds,
      shape: shapeOf(sequences, context),
      each: ['a layer', 'layers'],
      macs: 2 * numHeads * headSize * context * sequences,
      bytes: cacheBytes,
    });
    opened.kernels.clear();
  }
  opened.device.destroy();
}
