import { numPartialsAt } from '../core/partials.ts';
import { isPenalised, type LogitsParams } from '../core/request.ts';
import type { StepShape } from '../gpu/op.ts';

/** The token id field of a row whose token is the one last sampled in a slot: this plus the slot. */
export const FROM_SLOT = 0x80000000;

/** Bytes of one row: token id or FROM_SLOT + slot, position, cache slot, {@link attentionWord}; u32 each. */
export const ROW_BYTES = 16;

/**
 * SPLIT of attention.wgsl: the tokens of the context that one workgroup takes. Fixed, so that results do not depend on
 * load.
 */
export const ATTENTION_SPLIT = 128;

/** Rows of the block tables that a row's last word can name, and first partial results that it can. */
export const MAX_TABLES = 2 ** 12;
export const MAX_PARTIALS = 2 ** 20;

/**
 * The last word of a row, as in shaders/common/partials.wgsl: the row of the block tables, and the place of its first partial
 * result of attention.
 */
export function attentionWord(table: number, firstPartial: number): number {
  return table + MAX_TABLES * firstPartial;
}

/** The last words of a step's rows, whose partial results lie one after the other. */
export function attentionWords(rows: readonly { readonly position: number; readonly table: number }[]): number[] {
  let numPartials = 0;
  return rows.map(({ position, table }) => {
    const word = attentionWord(table, numPartials);
    numPartials += numPartialsAt(position, ATTENTION_SPLIT);
    return word;
  });
}

/** Bytes of one tile of rows: the first row, and the number of consecutive rows of the same request; u32 each. */
export const TILE_BYTES = 8;

/**
 * Bytes of one sample, four vectors of u32 (floats as their bits):
 *
 * 0. row, slot, seed, choice
 * 1. position of the drawn token, temperature, length of the slot's logit_bias, flags
 * 2. repetition, frequency and presence penalty, -
 * 3. the filters' limits: top_k (0: off), top_p * 2^32 (0: off), min_p as temperature * log(min_p), to be added to the
 *   largest logit (above 0: off), 2^16 * log2(e) / temperature
 */
export const SAMPLE_BYTES = 64;

/** The flags of a sample, as in shaders/common/flags.wgsl: it has penalties; it has filters. */
const PENALISED = 1;
const FILTERED = 2;

/** A finite bound where 1 / temperature overflows. */
const LARGEST_F32 = 3.4e38;

/** One sample's fields. */
export interface SampleInputs extends LogitsParams {
  readonly row: number;
  readonly slot: number;
  readonly seed: number;
  readonly choice: number;
  /** The position of the token to be drawn. */
  readonly position: number;
  readonly temperature: number;
}

/** The number of samples with each option; see {@link StepShape}. */
export type SamplingNeeds = Pick<StepShape, 'biased' | 'penalised' | 'filtered' | 'topK' | 'topP'>;

/** The filters' limits of a sample. A greedy draw takes the largest logit, so it has no filters. */
function filtersOf({ temperature, topK = 0, topP = 1, minP = 0 }: SampleInputs) {
  if (temperature === 0) return { k: 0, p: 0, distance: 1, scale: 0 };
  return {
    k: Math.min(Math.max(0, topK), 2 ** 32 - 1),
    p: topP >= 1 ? 0 : Math.min(Math.max(Math.round(topP * 2 ** 32), 1), 2 ** 32 - 1),
    distance: minP > 0 ? temperature * Math.log(minP) : 1,
    scale: Math.min((2 ** 16 * Math.LOG2E) / temperature, LARGEST_F32),
  };
}

/**
 * Writes one sample at word `at` of a buffer, which is given as words and as floats.
 *
 * @returns for each option, 1 where the sample has it, else 0
 */
export function writeSample(words: Uint32Array, floats: Float32Array, at: number, sample: SampleInputs): SamplingNeeds {
  const { row, slot, seed, choice, position, temperature, logitBias = [] } = sample;
  const { repetitionPenalty = 1, frequencyPenalty = 0, presencePenalty = 0 } = sample;
  const { k, p, distance, scale } = filtersOf(sample);
  const penalised = isPenalised(sample);
  const filtered = k > 0 || p > 0 || distance <= 0;
  const flags = (penalised ? PENALISED : 0) | (filtered ? FILTERED : 0);
  words.set([row, slot, seed, choice, position, 0, logitBias.length, flags], at);
  floats[at + 5] = temperature;
  floats.set([repetitionPenalty, frequencyPenalty, presencePenalty, 0], at + 8);
  words.set([k, p], at + 12);
  floats.set([distance, scale], at + 14);
  return {
    biased: Number(logitBias.length > 0),
    penalised: Number(penalised),
    filtered: Number(filtered),
    topK: Number(k > 0),
    topP: Number(p > 0),
  };
}
