import { parseArgs } from 'node:util';
import type { AdapterSummary } from '../../../src/core/metrics.ts';
import type { KvCacheDtype } from '../../../src/core/kv-cache-dtype.ts';
import type { Numerics } from '../../../src/core/numerics.ts';
import { SYNTHETIC_SHAPES, type SyntheticShape } from '../../../demo/bench/models/synthetic-model.ts';
import type { Bench } from '../dawn/bench.ts';
import type { Sizes } from '../dawn/options.ts';
import type { AttentionScene, Heads, MatrixShape } from '../dawn/kernel-ops.ts';

/** The parts in their order: figures of kernels that are wrong mean nothing. */
export const PARTS = ['adapter', 'correctness', 'variants', 'products', 'attention', 'models', 'compiling'] as const;
export type Part = (typeof PARTS)[number];

/** The most seconds of each part. */
export const PART_SECONDS: Readonly<Record<Part, number>> = {
  adapter: 20,
  correctness: 110,
  variants: 90,
  products: 70,
  attention: 45,
  models: 100,
  compiling: 25,
};

/** The most seconds of a whole run, unpacking included. */
export const TOTAL_SECONDS = 480;
/** Seconds of it for unpacking and for opening the GPU. */
export const START_SECONDS = 20;

/** Where there is no GPU: no adapter, or a software one that is not allowed. */
export const EXIT_NO_GPU = 3;

export interface Options {
  /** Where each line goes at once. */
  readonly json: string;
  readonly parts: readonly Part[];
  /** Whether a software adapter is used, with tiny sizes. For tests of this bench. */
  readonly allowSoftware: boolean;
  /** Seconds of the epoch when the run began; undefined: now. */
  readonly started: number | undefined;
}

/** @throws Error for an argument that there is not */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'string', default: 'gpu-run.jsonl' },
      only: { type: 'string' },
      'allow-software': { type: 'boolean', default: false },
      started: { type: 'string' },
    },
  });
  const asked = values.only?.split(',');
  const unknown = asked?.filter((name) => !PARTS.some((part) => part === name)) ?? [];
  if (unknown.length > 0) throw new Error(`--only ${values.only}: there is no "${unknown.join('", "')}", only ${PARTS.join(', ')}.`);
  return {
    json: values.json,
    parts: PARTS.filter((part) => asked?.includes(part) ?? true),
    allowSoftware: values['allow-software'],
    started: values.started === undefined ? undefined : Number(values.started),
  };
}

/** Why the run ends before its first part; undefined: it goes on. */
export function refusalOf(adapter: AdapterSummary, { allowSoftware }: Pick<Options, 'allowSoftware'>): string | undefined {
  if (!adapter.isSoftware || allowSoftware) return undefined;
  const name = [adapter.vendor, adapter.architecture, adapter.device, adapter.description].filter((part) => part !== '').join(', ');
  return `the adapter is software (${name}): the GPU's Vulkan driver was not found`;
}

/** How a model's kernels are built for a check. */
export interface CheckedSettings {
  readonly numerics: Numerics;
  readonly kvCacheDtype: KvCacheDtype;
  readonly subgroups: boolean;
}

/** The settings to check on an adapter, those of most users first. */
export function checkedSettings(numerics: readonly Numerics[], hasSubgroups: boolean): readonly CheckedSettings[] {
  const others = numerics.filter((each) => each !== 'f32');
  return [
    { numerics: 'f32', kvCacheDtype: 'f16', subgroups: hasSubgroups },
    ...others.map((each): CheckedSettings => ({ numerics: each, kvCacheDtype: 'f16', subgroups: hasSubgroups })),
    ...(hasSubgroups ? [{ numerics: 'f32', kvCacheDtype: 'f16', subgroups: false } as const] : []),
    { numerics: 'f32', kvCacheDtype: 'f32', subgroups: hasSubgroups },
    { numerics: 'f32', kvCacheDtype: 'int8', subgroups: hasSubgroups },
  ];
}

/** How much is done. */
export interface RunSizes extends Sizes {
  /** Models whose kernels are checked. Few layers: each has the same kernels. */
  readonly checkedShapes: readonly SyntheticShape[];
  /** Models whose variants are timed: layers enough that their weights fit no cache. */
  readonly variantShapes: readonly SyntheticShape[];
  /** The most variants of a kernel beside its default. */
  readonly mostVariants: number;
  /** Milliseconds of a timing of a variant, about. */
  readonly variantMs: number;
  readonly products: readonly MatrixShape[];
  readonly attention: readonly Pick<AttentionScene, 'heads' | 'sequences'>[];
  readonly models: readonly SyntheticShape[];
}

/** The argument of each part. */
export type RunBench = Bench<RunSizes>;

/** A vocabulary whose last tile is partial. */
const SMALL_VOCAB = 8200;

/** For software adapters. */
const TINY: SyntheticShape = {
  name: 'tiny shape', architecture: 'llama', hiddenSize: 128, intermediateSize: 256, numLayers: 2, numHeads: 4, numKvHeads: 2,
  headSize: 64, vocabSize: 520, contextLength: 512, tied: true, type: 'Q4_0',
};

const { '1b': ONE_B, '8b': EIGHT_B } = SYNTHETIC_SHAPES;

/** The shapes of a model's products: its layers' matrices, and its head. */
function productsOf({ hiddenSize, intermediateSize, numHeads, numKvHeads, headSize }: SyntheticShape): readonly MatrixShape[] {
  const type = 'Q4_0';
  return [
    { type, rows: (numHeads + 2 * numKvHeads) * headSize, columns: hiddenSize },
    { type, rows: hiddenSize, columns: numHeads * headSize },
    { type, rows: 2 * intermediateSize, columns: hiddenSize },
    { type, rows: hiddenSize, columns: intermediateSize },
  ];
}

function headOf({ vocabSize, hiddenSize }: SyntheticShape): MatrixShape {
  return { type: 'Q8_0', rows: vocabSize, columns: hiddenSize };
}

const headsOf = ({ numHeads, numKvHeads, headSize }: SyntheticShape): Heads => ({ numHeads, numKvHeads, headSize });

export function sizesFor(isSoftware: boolean): RunSizes {
  const shared = { context: 256, batches: [1, 16], shapes: [] };
  if (isSoftware) {
    return {
      ...shared, context: 32, batches: [1, 2],
      matmulTokens: [1, 8], attentionContexts: [64, 256], workingSetBytes: 2 ** 20,
      kernelMs: 2, kernelRepeats: 2, variantMs: 1, mostVariants: 1,
      decodeTokens: 4, decodeRepeats: 1, prefillTokens: 32, prefillRepeats: 1,
      checkedShapes: [TINY], variantShapes: [TINY], models: [TINY],
      products: productsOf(TINY), attention: [{ heads: headsOf(TINY), sequences: 1 }],
    };
  }
  const few = { numLayers: 2, vocabSize: SMALL_VOCAB, tied: true };
  return {
    ...shared,
    matmulTokens: [1, 8, 64, 256], attentionContexts: [1024, 8192, 32_768], workingSetBytes: 256 * 2 ** 20,
    kernelMs: 20, kernelRepeats: 5, variantMs: 4, mostVariants: Infinity,
    decodeTokens: 64, decodeRepeats: 5, prefillTokens: 1024, prefillRepeats: 3,
    checkedShapes: [{ ...ONE_B, ...few }, { ...EIGHT_B, ...few }],
    variantShapes: [ONE_B, { ...EIGHT_B, numLayers: 8, tied: true }],
    models: [ONE_B, EIGHT_B],
    products: [...productsOf(ONE_B), headOf(ONE_B), ...productsOf(EIGHT_B)],
    attention: [ONE_B, EIGHT_B].flatMap((shape) => [1, 8].map((sequences) => ({ heads: headsOf(shape), sequences }))),
  };
}
