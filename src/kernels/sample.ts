import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { ShaderModule } from '../gpu/link.ts';
import type { Op, OpBuilder, StepShape } from '../gpu/op.ts';
import { cost } from './cost.ts';
import { shader } from './shaders.ts';

export const SAMPLE_PARTIAL = defineKernel({
  name: 'sample-partial',
  bindings: { logits: 'read', samples: 'read', selections: 'read', candidates: 'read_write' },
  overrides: ['VOCAB', 'LOGITS_STRIDE', 'CHUNK', 'CANDIDATES'],
});

export const SAMPLE_FINAL = defineKernel({
  name: 'sample-final',
  bindings: {
    candidates: 'read',
    samples: 'read',
    lastTokens: 'read_write',
    tokenCounts: 'read_write',
  },
  overrides: ['VOCAB', 'CANDIDATES', 'LANES'],
});

/** Logits that one workgroup reads. */
export const SAMPLE_CHUNK = 1024;

/** The distance between two samples' logits: 4 are written at once. Elements past the vocabulary are never read. */
export function logitsStride(vocabSize: number): number {
  return Math.ceil(vocabSize / 4) * 4;
}

/** The number of candidates of a sample's logits: one of each 32 neighbours. */
export function candidatesOf(vocabSize: number): number {
  return Math.ceil(vocabSize / 32);
}

/** Bytes of the candidates of `samples` samples. */
export function candidatesBytes(vocabSize: number, samples: number): number {
  return samples * candidatesOf(vocabSize) * 8;
}

export interface SampleArgs {
  readonly vocabSize: number;
  /** Lanes of a workgroup that share a sample, a power of two; does not change the result. */
  readonly filterLanes: number;
  /**
   * Whether the logits' kernel has already written the candidates: only for logits that no op changes or filters, see
   * matmulLogits().
   */
  readonly begun: boolean;
  /** `[samples][logitsStride(vocabSize)]` f32. */
  readonly logits: BufferRange;
  readonly samples: BufferRange;
  /** The output of the filters. */
  readonly selections: BufferRange;
  /** {@link candidatesBytes} bytes. */
  readonly candidates: BufferRange;
  /** `[slots]` u32. */
  readonly lastTokens: BufferRange;
  /** `[slots][vocabSize]` u32; see penalties.ts. */
  readonly tokenCounts: BufferRange;
}

/** The modules of the two halves. */
export function sampleModules(name: 'sample-partial' | 'sample-final'): readonly ShaderModule[] {
  const draw = name === 'sample-partial' ? [shader('common/order'), shader('common/draw')] : [];
  return [shader(name), shader('common/flags'), ...draw];
}

/** Draws a token for every sample and writes it to its slot. */
export function sample(builder: OpBuilder, args: SampleArgs): readonly [Op, Op] {
  const { vocabSize, filterLanes, begun, logits, samples, selections, candidates, lastTokens, tokenCounts } = args;
  const overrides = { VOCAB: vocabSize, CANDIDATES: candidatesOf(vocabSize) };
  const partial = builder.variant(SAMPLE_PARTIAL, sampleModules('sample-partial'), {
    ...overrides,
    LOGITS_STRIDE: logitsStride(vocabSize),
    CHUNK: SAMPLE_CHUNK,
  });
  const final = builder.variant(SAMPLE_FINAL, sampleModules('sample-final'), { ...overrides, LANES: filterLanes });
  const isChanged = ({ biased, penalised, filtered }: StepShape): boolean => biased + penalised + filtered > 0;
  return [
    {
      name: 'sample-partial',
      bindGroup: builder.bind(SAMPLE_PARTIAL, { logits, samples, selections, candidates }),
      pipeline: () => builder.pipeline(partial),
      grid: (step) => [Math.ceil(vocabSize / SAMPLE_CHUNK), begun && !isChanged(step) ? 0 : step.samples, 1],
      cost: (step) => cost({ words: step.samples * vocabSize }),
    },
    {
      name: 'sample-final',
      bindGroup: builder.bind(SAMPLE_FINAL, { candidates, samples, lastTokens, tokenCounts }),
      pipeline: () => builder.pipeline(final),
      grid: (step) => [step.samples, 1, 1],
    },
  ];
}
