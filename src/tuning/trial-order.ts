import type { BestVariants, Tunable } from './tunable.ts';

/** The candidates of one kernel that are tried together, against the variant in use. */
export interface NextTrial {
  readonly tunable: Tunable;
  readonly candidates: readonly string[];
}

/** The most candidates of a trial: the best of many is mostly among the first that promise it. */
const MAX_CANDIDATES = 7;

/** The candidates of a kernel that no trial has had yet. */
export function untriedOf({ key, candidates }: Tunable, known: BestVariants): readonly string[] {
  const tried = known.get(key)?.tried ?? [];
  return candidates.filter((name) => !tried.includes(name));
}

/** The trial with the most to gain, before anything of it is compiled; undefined where all has been tried. */
export function nextTrial(tunables: readonly Tunable[], known: BestVariants): NextTrial | undefined {
  const open = tunables.filter((tunable) => untriedOf(tunable, known).length > 0);
  const [tunable] = open.toSorted((a, b) => compare(promiseOf(a, known), promiseOf(b, known)));
  return tunable && { tunable, candidates: untriedOf(tunable, known).slice(0, MAX_CANDIDATES) };
}

/**
 * The order of trials, the lowest first. Candidates that promise less wait until each kernel has had a trial. Every answer
 * is decoded token by token; then come prompts, in the largest steps, then steps between. Of one step, the kernels that move
 * the most bytes have the largest share.
 */
function promiseOf({ key, trialStep: { tokens, bytes } }: Tunable, known: BestVariants): readonly number[] {
  return [known.has(key) ? 1 : 0, tokens === 1 ? 0 : 1, -tokens, -bytes];
}

function compare(a: readonly number[], b: readonly number[]): number {
  return a.map((value, i) => value - (b[i] ?? 0)).find((difference) => difference !== 0) ?? 0;
}
