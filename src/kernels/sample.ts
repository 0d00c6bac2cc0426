import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import { shader } from './shaders.ts';

export const SAMPLE_PARTIAL = defineKernel({
  name: 'sample-partial',
  bindings: { logits: 'read', samples: 'read', candidates: 'read_write' },
  overrides: ['VOCAB', 'CHUNK', 'CHUNKS'],
});

export const SAMPLE_FINAL = defineKernel({
  name: 'sample-final',
  bindings: { candidates: 'read', samples: 'read', lastTokens: 'read_write', counts: 'uniform' },
  overrides: ['CHUNKS'],
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
  /** {@link candidatesBytes} bytes. */
  readonly candidates: BufferRange;
  /** `[slots]` u32. */
  readonly lastTokens: BufferRange;
  readonly counts: BufferRange;
}

/** Draws a token for every sample and writes it to its slot. */
export function sample(builder: OpBuilder, args: SampleArgs): readonly [Op, Op] {
  const { vocabSize, logits, samples, candidates, lastTokens, counts } = args;
  const chunks = Math.ceil(vocabSize / CHUNK);
  const partial = builder.variant(SAMPLE_PARTIAL, [shader('sample-partial')], {
    VOCAB: vocabSize,
    CHUNK,
    CHUNKS: chunks,
  });
  const final = builder.variant(SAMPLE_FINAL, [shader('sample-final')], { CHUNKS: chunks });
  return [
    {
      name: 'sample-partial',
      bindGroup: builder.bind(SAMPLE_PARTIAL, { logits, samples, candidates }),
      pipeline: () => builder.pipeline(partial),
      grid: (step) => [chunks, step.samples, 1],
    },
    {
      name: 'sample-final',
      bindGroup: builder.bind(SAMPLE_FINAL, { candidates, samples, lastTokens, counts }),
      pipeline: () => builder.pipeline(final),
      grid: (step) => [Math.ceil(step.samples / 4), 1, 1],
    },
  ];
}
