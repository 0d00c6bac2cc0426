import { type BufferRange, defineKernel } from '../gpu/kernel.ts';
import { constants } from '../gpu/link.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import { checkSamples } from './check-scenes.ts';
import { MATMUL_BINDINGS, MATMUL_OVERRIDES, type MatmulArgs, matmulWith, NORM_NUMBERS, NORM_OVERRIDES, type NormArgs, normOverrides } from './matmul.ts';
import { candidatesBytes, candidatesOf, logitsStride } from './sample.ts';
import { SAMPLE_BYTES } from './step-inputs.ts';
import { shader } from './shaders.ts';

export const MATMUL_LOGITS = defineKernel({
  name: 'matmul-logits',
  bindings: { ...MATMUL_BINDINGS, squares: 'read', samples: 'uniform', logits: 'read_write', candidates: 'read_write' },
  overrides: [...MATMUL_OVERRIDES, ...NORM_OVERRIDES, 'CANDIDATES', 'OUTPUT_OFFSET', 'VOCAB', 'LOGITS_STRIDE'],
});

export interface MatmulLogitsArgs extends MatmulArgs, NormArgs {
  /** SAMPLE_BYTES for each sample; 64 KiB at most. */
  readonly samples: BufferRange;
  /** `[samples][logitsStride(vocabSize)]` f32. */
  readonly logits: BufferRange;
  /** The token of the matrix's first row, a multiple of 64. @default 0 */
  readonly outputOffset?: number;
  /** The number of tokens; further rows of the matrices are padding. @default the matrix's rows */
  readonly vocabSize?: number;
  /** candidatesBytes() bytes. */
  readonly candidates: BufferRange;
}

/** The logits of the samples, from the normalised rows that they are drawn from, and the first half of the draw. */
export function matmulLogits(builder: OpBuilder, args: MatmulLogitsArgs): Op {
  const { squares, samples, logits, candidates, matrix, outputOffset = 0, vocabSize = matrix.rows } = args;
  return matmulWith(builder, args, {
    spec: MATMUL_LOGITS,
    modules: logitsModules(samples),
    normalised: true,
    sampled: true,
    buffers: { squares, samples, logits, candidates },
    overrides: {
      ...normOverrides(args),
      CANDIDATES: candidatesOf(vocabSize),
      OUTPUT_OFFSET: outputOffset,
      VOCAB: vocabSize,
      LOGITS_STRIDE: logitsStride(vocabSize),
    },
    maxTokens: samples.size / SAMPLE_BYTES,
    checkScene: (tokens) => ({
      words: { samples: checkSamples(tokens) },
      numbers: NORM_NUMBERS,
      outputs: { logits: tokens * logitsStride(vocabSize) * 4, candidates: candidatesBytes(vocabSize, tokens) },
    }),
  });
}

/** The epilogue's files. */
export function logitsModules(samples: { readonly size: number }) {
  const sizes = constants('samples', { SAMPLES: samples.size / SAMPLE_BYTES });
  return [shader('epilogue/logits'), shader('common/draw'), shader('rows/sampled'), sizes];
}
