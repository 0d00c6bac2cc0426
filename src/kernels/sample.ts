import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { ShaderModule } from '../gpu/link.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import { cost } from './cost.ts';
import { shader } from './shaders.ts';

export const SAMPLE_PARTIAL = defineKernel({
  name: 'sample-partial',
  bindings: { logits: 'read', samples: 'read', selections: 'read', candidates: 'read_write' },
  overrides: ['VOCAB', 'CHUNK', 'CHUNKS'],
});

export const SAMPLE_FINAL = defineKernel({
  name: 'sample-final',
  bindings: {
    candidates: 'read',
    samples: 'read',
    lastTokens: 'read_write',
    tokenCounts: 'read_write',
    counts: 'uniform',
  },
  overrides: ['VOCAB', 'CHUNKS'],
});

/** Logits that one workgroup looks through. */
const CHUNK = 1024;

/** Bytes of the candidates of `samples` samples. */
export function candidatesBytes(vocabSize: number, samples: number): number {
  return samples * Math.ceil(vocabSize / CHUNK) * 8;
}

export interface SampleArgs {
  readonly vocabSize: number;
  /** `[samples][vocabSize]` f32. */
  readonly logits: BufferRange;
  readonly samples: BufferRange;
  /** As the filters leave them. */
  readonly selections: BufferRange;
  /** {@link candidatesBytes} bytes. */
  readonly candidates: BufferRange;
  /** `[slots]` u32. */
  readonly lastTokens: BufferRange;
  /** `[slots][vocabSize]` u32; see penalties.ts. */
  readonly tokenCounts: BufferRange;
  readonly counts: BufferRange;
}

/** What the two halves are linked from. */
export function sampleModules(name: 'sample-partial' | 'sample-final'): readonly ShaderModule[] {
  const order = name === 'sample-partial' ? [shader('common/order')] : [];
  return [shader(name), shader('common/flags'), ...order];
}

/** Draws a token for every sample and writes it to its slot. */
export function sample(builder: OpBuilder, args: SampleArgs): readonly [Op, Op] {
  const { vocabSize, logits, samples, selections, candidates, lastTokens, tokenCounts, counts } = args;
  const chunks = Math.ceil(vocabSize / CHUNK);
  const overrides = { VOCAB: vocabSize, CHUNKS: chunks };
  const partial = builder.variant(SAMPLE_PARTIAL, sampleModules('sample-partial'), { ...overrides, CHUNK });
  const final = builder.variant(SAMPLE_FINAL, sampleModules('sample-final'), overrides);
  return [
    {
      name: 'sample-partial',
      bindGroup: builder.bind(SAMPLE_PARTIAL, { logits, samples, selections, candidates }),
      pipeline: () => builder.pipeline(partial),
      grid: (step) => [chunks, step.samples, 1],
      cost: (step) => cost({ words: step.samples * vocabSize }),
    },
    {
      name: 'sample-final',
      bindGroup: builder.bind(SAMPLE_FINAL, { candidates, samples, lastTokens, tokenCounts, counts }),
      pipeline: () => builder.pipeline(final),
      grid: (step) => [Math.ceil(step.samples / 4), 1, 1],
    },
  ];
}
