import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { ShaderModule } from '../gpu/link.ts';
import type { Op, OpBuilder, StepShape } from '../gpu/op.ts';
import { cost } from './cost.ts';
import { logitsStride } from './sample.ts';
import { shader } from './shaders.ts';

export const FILTER_MAX = defineKernel({
  name: 'filter-max',
  bindings: { logits: 'read', samples: 'read', maxima: 'read_write' },
  overrides: ['VOCAB', 'LOGITS_STRIDE', 'CHUNK', 'CHUNKS', 'LANES'],
});

export const FILTER_BEGIN = defineKernel({
  name: 'filter-begin',
  bindings: { maxima: 'read', samples: 'read', selections: 'read_write', counts: 'uniform' },
  overrides: ['CHUNKS'],
});

export const FILTER_HISTOGRAM = defineKernel({
  name: 'filter-histogram',
  bindings: { logits: 'read', samples: 'read', selections: 'read', histograms: 'read_write' },
  overrides: ['VOCAB', 'LOGITS_STRIDE', 'CHUNK', 'LANES'],
});

export const FILTER_PICK = defineKernel({
  name: 'filter-pick',
  bindings: { samples: 'read', histograms: 'read_write', selections: 'read_write' },
  overrides: [],
});

/** Logits that one workgroup reads. */
const CHUNK = 4096;
/** Digits of a key: 32 bits, 8 at a time. */
const DIGITS = 4;

/** The quantity that is summed over a step's tokens: see shaders/measure. */
export type Measure = 'count' | 'mass';

/** Bytes of the filters' state for `samples` samples. */
export function filterBytes(vocabSize: number, samples: number) {
  return {
    maxima: samples * Math.ceil(vocabSize / CHUNK) * 4,
    selections: samples * 24,
    histograms: samples * 256 * 8,
  };
}

export interface FilterArgs {
  readonly vocabSize: number;
  /** Lanes of a workgroup that reads logits. */
  readonly filterLanes: number;
  /** `[samples][logitsStride(vocabSize)]` f32. */
  readonly logits: BufferRange;
  readonly samples: BufferRange;
  /** {@link filterBytes} each. */
  readonly maxima: BufferRange;
  readonly selections: BufferRange;
  /** All 0 before the first step; every step leaves it all 0. */
  readonly histograms: BufferRange;
  readonly counts: BufferRange;
}

/** The modules of the selection's kernels. */
export function filterModules(
  name: 'filter-max' | 'filter-begin' | 'filter-histogram' | 'filter-pick',
  measure?: Measure,
): readonly ShaderModule[] {
  const common = [shader(name), shader('common/order')];
  if (measure === undefined) return [...common, shader('common/flags')];
  return [...common, shader('common/u64'), shader(`measure/${measure}`)];
}

/**
 * Finds, for every sample with top_k, top_p or min_p, the threshold below which tokens cannot be drawn, by a radix
 * selection over the logits' bits. It is exact for all logits, and uses integers only, so the order of lanes does not
 * change it. min_p needs the largest logit. top_k and top_p need four passes each, of a histogram over the vocabulary
 * and a pick.
 */
export function filter(builder: OpBuilder, args: FilterArgs): readonly Op[] {
  const { vocabSize, filterLanes, logits, samples, maxima, selections, counts } = args;
  const chunks = Math.ceil(vocabSize / CHUNK);
  const overrides = { VOCAB: vocabSize, LOGITS_STRIDE: logitsStride(vocabSize), CHUNK, CHUNKS: chunks, LANES: filterLanes };
  const max = builder.variant(FILTER_MAX, filterModules('filter-max'), overrides);
  const begin = builder.variant(FILTER_BEGIN, filterModules('filter-begin'), { CHUNKS: chunks });
  return [
    {
      name: 'filter-max',
      bindGroup: builder.bind(FILTER_MAX, { logits, samples, maxima }),
      pipeline: () => builder.pipeline(max),
      grid: (step) => [step.filtered === 0 ? 0 : chunks, step.samples, 1],
      cost: (step) => cost({ words: step.filtered * vocabSize }),
    },
    {
      name: 'filter-begin',
      bindGroup: builder.bind(FILTER_BEGIN, { maxima, samples, selections, counts }),
      pipeline: () => builder.pipeline(begin),
      grid: (step) => [step.filtered === 0 ? 0 : Math.ceil(step.samples / 4), 1, 1],
    },
    ...select(builder, args, 'count', (step) => step.topK > 0),
    ...select(builder, args, 'mass', (step) => step.topP > 0),
  ];
}

/** The passes over one measure, in steps that need them. All passes are the same two ops. */
function select(
  builder: OpBuilder,
  args: FilterArgs,
  measure: Measure,
  isNeeded: (step: StepShape) => boolean,
): readonly Op[] {
  const { vocabSize, filterLanes, logits, samples, selections, histograms } = args;
  const overrides = { VOCAB: vocabSize, LOGITS_STRIDE: logitsStride(vocabSize), CHUNK, LANES: filterLanes };
  const histogram = builder.variant(FILTER_HISTOGRAM, filterModules('filter-histogram', measure), overrides);
  const pick = builder.variant(FILTER_PICK, filterModules('filter-pick', measure), {});
  const pass: readonly Op[] = [
    {
      name: `filter-histogram (${measure})`,
      bindGroup: builder.bind(FILTER_HISTOGRAM, { logits, samples, selections, histograms }),
      pipeline: () => builder.pipeline(histogram),
      grid: (step) => [isNeeded(step) ? Math.ceil(vocabSize / CHUNK) : 0, step.samples, 1],
      cost: (step) => cost({ words: step.filtered * vocabSize }),
    },
    {
      name: `filter-pick (${measure})`,
      bindGroup: builder.bind(FILTER_PICK, { samples, histograms, selections }),
      pipeline: () => builder.pipeline(pick),
      grid: (step) => [isNeeded(step) ? step.samples : 0, 1, 1],
    },
  ];
  return Array.from({ length: DIGITS }, () => pass).flat();
}
