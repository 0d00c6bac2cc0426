import type { LogitsParams } from '../../src/core/request.ts';
import { filter, filterBytes } from '../../src/kernels/filter.ts';
import { logitBias, SLOT_BIASES_BYTES } from '../../src/kernels/logit-bias.ts';
import { IN_PROMPT, penalties } from '../../src/kernels/penalties.ts';
import { candidatesBytes, logitsStride, sample } from '../../src/kernels/sample.ts';
import { SAMPLE_BYTES, writeSample } from '../../src/kernels/step-inputs.ts';
import { type KernelLab, POISON } from './kernel-lab.ts';
import type { Draw, Tokens } from './sampling-references.ts';

/** One sample of a batch. */
export interface TestSample {
  readonly logits: Float32Array;
  readonly draw: Draw & LogitsParams;
  /** @default its place in the batch */
  readonly slot?: number;
  /** The earlier tokens, for penalties. @default none */
  readonly tokens?: Tokens;
}

/** The best of some neighbouring tokens. */
export interface Candidate {
  readonly score: number;
  readonly token: number;
}

export interface Sampled {
  /** The tokens drawn, by slot; poison in the slots of no sample. */
  readonly tokens: number[];
  /** Each sample's, in the order of their tokens. */
  readonly candidates: readonly (readonly Candidate[])[];
  /** Each sample's logits as they were drawn from, after biases and penalties. */
  readonly logits: readonly Float32Array[];
  /** The key below which nothing is drawn, where a sample has filters. */
  readonly thresholds: readonly number[];
  /** By slot. */
  readonly tokenCounts: readonly Uint32Array[];
  /** The histograms after a run; all 0 if all is well. */
  readonly histograms: Uint32Array;
}

export interface SamplerOptions {
  /** @default one a sample */
  readonly slots?: number;
  /** @default 16 */
  readonly filterLanes?: number;
}

/** A float's bits as the order of floats: what shaders/common/order.wgsl makes of it. */
export function orderKey(value: number): number {
  const bits = new Uint32Array(new Float32Array([value === 0 ? 0 : value]).buffer)[0] ?? 0;
  if (Number.isNaN(value)) return 0;
  return (bits >= 0x80000000 ? ~bits : bits | 0x80000000) >>> 0;
}

/** Runs the whole sampler on a batch, as a step does. All of its buffers are poisoned, but where the host writes. */
export async function runSampler(lab: KernelLab, samples: readonly TestSample[], options: SamplerOptions = {}): Promise<Sampled> {
  const { slots = samples.length, filterLanes = 16 } = options;
  const vocabSize = samples[0]?.logits.length ?? 0;
  const stride = logitsStride(vocabSize);
  // Elements past the vocabulary would win every draw.
  const logits = lab.inOut(new Float32Array(samples.length * stride).fill(1e30));
  const counts = lab.output(slots * vocabSize);
  const words = new Uint32Array((samples.length * SAMPLE_BYTES) / 4).fill(9999);
  const floats = new Float32Array(words.buffer);
  const biases = new Uint32Array((slots * SLOT_BIASES_BYTES) / 4).fill(POISON);
  const biasFloats = new Float32Array(biases.buffer);
  const step = { samples: samples.length, biased: 0, penalised: 0, filtered: 0, topK: 0, topP: 0 };
  for (const [i, { logits: own, draw, slot = i, tokens }] of samples.entries()) {
    new Float32Array(logits.before.buffer).set(own, i * stride);
    const needs = writeSample(words, floats, (i * SAMPLE_BYTES) / 4, { ...draw, row: 9999, slot });
    for (const need of ['biased', 'penalised', 'filtered', 'topK', 'topP'] as const) step[need] += needs[need];
    for (const [j, [token, bias]] of (draw.logitBias ?? []).entries()) {
      const at = (slot * SLOT_BIASES_BYTES) / 4 + j * 2;
      biases[at] = token;
      biasFloats[at + 1] = bias;
    }
    const row = counts.before.subarray(slot * vocabSize, (slot + 1) * vocabSize);
    if (needs.penalised > 0) row.set(countTokens(vocabSize, tokens ?? { prompt: [], output: [] }));
  }
  const sizes = filterBytes(vocabSize, samples.length);
  const maxima = lab.output(sizes.maxima / 4);
  const selections = lab.output(sizes.selections / 4);
  const histograms = lab.output(sizes.histograms / 4);
  histograms.before.fill(0, 0, histograms.words);
  const candidates = lab.output(candidatesBytes(vocabSize, samples.length) / 4);
  const lastTokens = lab.output(slots);
  const buffers = {
    vocabSize,
    filterLanes,
    begun: false,
    logits: logits.buffer,
    samples: lab.input(words),
    biases: lab.input(biases),
    tokenCounts: counts.buffer,
    maxima: maxima.buffer,
    selections: selections.buffer,
    histograms: histograms.buffer,
    candidates: candidates.buffer,
    lastTokens: lastTokens.buffer,
    counts: lab.sampleCount,
  };
  const { builder } = lab;
  const ops = [logitBias(builder, buffers), penalties(builder, buffers), ...filter(builder, buffers), ...sample(builder, buffers)];
  const outputs = [lastTokens, candidates, logits, selections, counts, histograms, maxima];
  const [drawn, best, adjusted, selected, counted, left] = await lab.run(ops, step, outputs);
  if (!drawn || !best || !adjusted || !selected || !counted || !left) throw new Error('an output is missing');
  const chunks = candidates.words / 2 / samples.length;
  return {
    tokens: [...drawn.bits],
    candidates: samples.map((_, i) =>
      Array.from({ length: chunks }, (__, chunk) => {
        const at = (i * chunks + chunk) * 2;
        return { score: best.floats[at] ?? NaN, token: best.bits[at + 1] ?? NaN };
      }).filter(({ token }) => token !== vocabSize),
    ),
    logits: samples.map((_, i) => adjusted.floats.subarray(i * stride, i * stride + vocabSize)),
    thresholds: samples.map((_, i) => selected.bits[i * 6] ?? NaN),
    tokenCounts: Array.from({ length: slots }, (_, slot) => counted.bits.subarray(slot * vocabSize, (slot + 1) * vocabSize)),
    histograms: left.bits,
  };
}

/** A slot's row of token counts. */
export function countTokens(vocabSize: number, { prompt, output }: Tokens): Uint32Array {
  const counts = new Uint32Array(vocabSize);
  for (const token of prompt) counts[token] = IN_PROMPT;
  for (const token of output) counts[token] = (counts[token] ?? 0) + 1;
  return counts;
}
