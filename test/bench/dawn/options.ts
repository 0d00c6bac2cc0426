import { parseArgs } from 'node:util';
import { SYNTHETIC, type Synthetic } from '../../../demo/bench/models/synthetic-model.ts';

/** What can be measured, in the order in which it is. */
export const PARTS = ['limits', 'matmul', 'attention', 'decode', 'prefill', 'batch', 'synthetic'] as const;
export type Part = (typeof PARTS)[number];

/** Seconds that a part may take on a GPU; rows that it has not come to by then are left out, and say so. */
const BUDGET_SECONDS: Readonly<Record<Part, number>> = {
  limits: 60,
  matmul: 80,
  attention: 40,
  decode: 30,
  prefill: 20,
  batch: 60,
  synthetic: 240,
};

/** A software adapter takes longer for the little that it gets. */
const SOFTWARE_PATIENCE = 3;

/** Seconds for a part, of those that the options ask for. */
export function budgetOf(part: Part, isSoftware: boolean, { patience }: Pick<Options, 'patience'>): number {
  return BUDGET_SECONDS[part] * patience * (isSoftware ? SOFTWARE_PATIENCE : 1);
}

/** Seconds beyond all budgets after which the bench gives up on a GPU that does not answer. */
export const GRACE_SECONDS = 45;

export interface Options {
  readonly parts: readonly Part[];
  readonly quick: boolean;
  /** Where rows are appended, one JSON object a line. */
  readonly json: string | undefined;
  /** The model of `decode`, `prefill` and `batch`. */
  readonly model: string;
  /** The shapes that were asked for; undefined: what suits the adapter. */
  readonly shapes: readonly Synthetic[] | undefined;
  /** Stretches the budgets. */
  readonly patience: number;
}

/** @throws Error for an argument that there is not */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      json: { type: 'string' },
      model: { type: 'string', default: '.models/SmolLM2-135M-Instruct.Q4_1.gguf' },
      shapes: { type: 'string' },
      patience: { type: 'string', default: '1' },
    },
  });
  const patience = Number(values.patience);
  if (!(patience > 0)) throw new Error(`--patience ${values.patience}: it is a number above 0.`);
  return {
    parts: choose('--only', values.only, PARTS) ?? PARTS,
    quick: values.quick,
    json: values.json,
    model: values.model,
    shapes: choose('--shapes', values.shapes, SYNTHETIC),
    patience,
  };
}

/** The names in a list with commas, in their own order. */
function choose<T extends string>(option: string, list: string | undefined, names: readonly T[]): readonly T[] | undefined {
  if (list === undefined) return undefined;
  const asked = list.split(',').map((name) => name.trim());
  const unknown = asked.filter((name) => !names.some((known) => known === name));
  if (unknown.length > 0) throw new Error(`${option} ${list}: there is no "${unknown.join('", "')}", only ${names.join(', ')}.`);
  return names.filter((name) => asked.includes(name));
}

/** How much of each thing is done. */
export interface Sizes {
  /** Rows of activations of a matmul. */
  readonly matmulTokens: readonly number[];
  /** Tokens before each attending one. */
  readonly attentionContexts: readonly number[];
  /** Weights, or keys and values, that a kernel's dispatches go round in, so that caches hold little of them. */
  readonly workingSetBytes: number;
  /** Milliseconds of one timing of a kernel, about. */
  readonly kernelMs: number;
  readonly kernelRepeats: number;
  readonly context: number;
  /** Tokens of one timing of decode. */
  readonly decodeTokens: number;
  readonly decodeRepeats: number;
  readonly prefillTokens: number;
  readonly prefillRepeats: number;
  readonly batches: readonly number[];
  readonly shapes: readonly Synthetic[];
}

/** A software adapter computes some ten tokens a second: it gets less of what takes tokens. */
export function sizesFor(isSoftware: boolean, { quick, shapes }: Pick<Options, 'quick' | 'shapes'>): Sizes {
  const kernelRepeats = quick ? 3 : 7;
  return {
    matmulTokens: quick ? [1, 8, 32] : [1, 2, 4, 8, 16, 32],
    attentionContexts: quick ? [256] : isSoftware ? [256, 1024] : [256, 1024, 4096],
    workingSetBytes: (isSoftware ? 64 : 256) * 2 ** 20,
    kernelMs: quick ? 20 : 50,
    kernelRepeats,
    context: 256,
    decodeTokens: 16,
    decodeRepeats: isSoftware ? (quick ? 2 : 5) : kernelRepeats,
    prefillTokens: 256,
    prefillRepeats: isSoftware ? (quick ? 1 : 3) : kernelRepeats,
    batches: quick ? [1, 4, 16] : [1, 2, 4, 8, 16],
    shapes: shapes ?? (isSoftware ? ['135m'] : SYNTHETIC),
  };
}
