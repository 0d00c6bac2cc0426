import { candidatesOf, logitsStride, SAMPLE_CHUNK } from '../../kernels/sample.ts';
import { SAMPLE_BYTES, type SampleInputs, writeSample } from '../../kernels/step-inputs.ts';
import { scoreError, scoresOf } from './known-draw.ts';
import {
  bufferOf, firstOf, type KnownAnswer, type Results, ROWS, Sequence, stepOf, type TestedModel, type TestedOp, type Write, wrong,
} from './known-answer.ts';
import { type EpilogueTest, type MostBytes, productAnswers, testedProduct } from './products.ts';

/** The score of no token: below it is none. */
const LOWEST = -3.4e38;
/** Neighbouring logits of which the product's epilogue finds the best. */
const NEIGHBOURS = 32;
/** Samples whose logits are not numbers: they draw no token. */
const NO_NUMBERS = 2;
/** Samples whose whole vocabulary is compared: a draw with noise, a greedy one, and one without a token. */
const COMPARED = 3;

/** The row that a sample is drawn from: another for each. */
function rowOf(sample: number): number {
  return (3 * sample + 1) % ROWS;
}

function hasNumbers(sample: number): boolean {
  return sample % 4 !== NO_NUMBERS;
}

function inputsOf(sample: number): SampleInputs {
  const temperature = sample % 4 === 1 ? 0 : 0.8;
  return { row: rowOf(sample), slot: sample, seed: 7919 * sample + 1, choice: sample % 3, position: 100 + sample, temperature };
}

/** The inputs of as many samples. */
function samplesOf(count: number, changes: Partial<SampleInputs> = {}): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array((count * SAMPLE_BYTES) / 4);
  const floats = new Float32Array(words.buffer);
  for (let i = 0; i < count; i++) writeSample(words, floats, (i * SAMPLE_BYTES) / 4, { ...inputsOf(i), ...changes });
  return words;
}

/** The model's vocabulary, and the samples of a test. */
interface Draws {
  readonly vocabSize: number;
  readonly count: number;
}

function drawsOf({ config: { vocabSize }, maxNumSeqs }: TestedModel): Draws {
  return { vocabSize, count: Math.min(ROWS, maxNumSeqs) };
}

/** A token and its score as a kernel wrote them. */
interface Candidate {
  readonly score: number;
  readonly token: number;
}

/** Whether a candidate is the best of some tokens, as far as rounding lets one tell. NaN is the score of none. */
function wrongCandidate(inputs: SampleInputs, { score, token }: Candidate, logits: Float32Array, first: number): string | undefined {
  const scoreOf = scoresOf(inputs);
  let best = { score: LOWEST, token: -1, error: 0 };
  for (const [i, logit] of logits.entries()) {
    if (Number.isNaN(logit)) continue;
    const own = scoreOf(logit, first + i);
    if (own > best.score) best = { score: own, token: first + i, error: scoreError(own, logit, inputs.temperature) };
  }
  if (best.token < 0) return score <= LOWEST * (1 - 2 ** -20) ? undefined : `token ${token} is drawn, of which no logit is a number`;
  const logit = logits[token - first] ?? NaN;
  const own = scoreOf(logit, token);
  const error = scoreError(own, logit, inputs.temperature);
  if (!(own >= best.score - best.error - error)) return `token ${token} is drawn, and should be ${best.token}`;
  return wrong(`the score of token ${token}`, score, { value: own, error });
}

function candidateAt(results: Results, at: number): Candidate {
  return { score: results.floats('candidates')[2 * at] ?? NaN, token: results.words('candidates')[2 * at + 1] ?? NaN };
}

/** The samples' logits, and the best of each 32. */
export function logitsAnswers(model: TestedModel, op: TestedOp, most: MostBytes): KnownAnswer[] {
  const { vocabSize, count } = drawsOf(model);
  const [stride, candidates] = [logitsStride(vocabSize), candidatesOf(vocabSize)];
  const notNumbers = Array.from({ length: count }, (_, i) => i).filter((i) => !hasNumbers(i)).map(rowOf);
  const tested = testedProduct(model, op, { notNumbers });
  const { product, packed } = tested;
  const offset = model.weights.head.find(({ matrix }) => matrix === packed)?.outputOffset ?? 0;
  const check: EpilogueTest['check'] = (results, tokens, outputs) => {
    const logits = results.floats('logits');
    const ofRows = product.rows.filter((row) => row < outputs && offset + row < vocabSize);
    const faults = Array.from({ length: tokens }, (_, sample) => {
      if (!hasNumbers(sample)) return [];
      return ofRows.map((row) => {
        const expected = product.output(row, rowOf(sample));
        return expected && wrong(`logit ${offset + row} of sample ${sample}`, logits[sample * stride + offset + row], expected);
      });
    });
    return firstOf(faults.flat()) ?? wrongCandidates(results, Math.min(tokens, COMPARED), outputs);
  };
  const wrongCandidates = (results: Results, samples: number, outputs: number): string | undefined => {
    const end = Math.min(offset + outputs, vocabSize);
    for (let sample = 0; sample < samples; sample++) {
      const logits = results.floats('logits').subarray(sample * stride, sample * stride + vocabSize);
      for (let first = offset; first < end; first += NEIGHBOURS) {
        const own = logits.subarray(first, Math.min(first + NEIGHBOURS, end));
        if (hasNumbers(sample) && own.some(Number.isNaN)) return `a logit from ${first} on of sample ${sample} is not a number`;
        const fault = wrongCandidate(inputsOf(sample), candidateAt(results, sample * candidates + first / NEIGHBOURS), own, first);
        if (fault !== undefined) return `of the 32 tokens from ${first}, ${fault} (sample ${sample})`;
      }
    }
    return undefined;
  };
  const reads: EpilogueTest['reads'] = (tokens) => ({
    logits: { from: bufferOf(op, 'logits'), size: 4 * tokens * stride },
    candidates: { from: bufferOf(op, 'candidates'), size: 8 * tokens * candidates },
  });
  const writes: Write[] = [{ to: bufferOf(op, 'samples'), data: samplesOf(count) }];
  const toStep = (tokens: number) => stepOf({ tokens: ROWS, samples: tokens });
  return productAnswers(model, tested, { mostTokens: count, stepOf: toStep, writes, reads, check }, most);
}

/** The draw from logits that were changed or filtered: the best of each chunk. Some logits are no numbers, first and last ones too. */
export function samplePartialAnswers(model: TestedModel, op: TestedOp): KnownAnswer[] {
  const { vocabSize, count: most } = drawsOf(model);
  const count = Math.min(most, COMPARED);
  const [stride, candidates] = [logitsStride(vocabSize), candidatesOf(vocabSize)];
  const logits = new Sequence(vocabSize).floats(count * stride, 8);
  for (let i = 0; i < logits.length; i++) if (i % stride % 61 === 0 || !hasNumbers(Math.floor(i / stride))) logits[i] = NaN;
  const check = (results: Results): string | undefined => {
    for (let sample = 0; sample < count; sample++) {
      for (let first = 0; first < vocabSize; first += SAMPLE_CHUNK) {
        const own = logits.subarray(sample * stride + first, sample * stride + Math.min(first + SAMPLE_CHUNK, vocabSize));
        const fault = wrongCandidate(inputsOf(sample), candidateAt(results, sample * candidates + first / NEIGHBOURS), own, first);
        if (fault !== undefined) return `${fault} (sample ${sample})`;
      }
    }
    return undefined;
  };
  return [{
    kernel: op.op.name,
    writes: [{ to: bufferOf(op, 'logits'), data: logits }, { to: bufferOf(op, 'samples'), data: samplesOf(count) }],
    dispatches: [{ op: op.op, step: stepOf({ tokens: ROWS, samples: count, biased: 1 }) }],
    reads: { candidates: { from: bufferOf(op, 'candidates'), size: 8 * count * candidates } },
    bytes: 0,
    check,
  }];
}

/** The best candidate of each sample: of equal ones the lowest token, and of none no token. */
export function sampleFinalAnswers(model: TestedModel, op: TestedOp): KnownAnswer[] {
  const { vocabSize, count } = drawsOf(model);
  const candidates = candidatesOf(vocabSize);
  const sequence = new Sequence(candidates);
  const words = new Uint32Array(2 * count * candidates);
  const floats = new Float32Array(words.buffer);
  const expected = Array.from({ length: count }, (_, sample) => {
    let best = { score: LOWEST, token: vocabSize };
    for (let i = 0; i < candidates; i++) {
      const score = hasNumbers(sample) ? sequence.below(16) : LOWEST; // many are equal
      const token = hasNumbers(sample) ? Math.min(i * NEIGHBOURS + sequence.below(NEIGHBOURS), vocabSize - 1) : vocabSize;
      if (score > best.score || (score === best.score && token < best.token)) best = { score, token };
      floats[2 * (sample * candidates + i)] = score;
      words[2 * (sample * candidates + i) + 1] = token;
    }
    return best.token;
  });
  return [{
    kernel: op.op.name,
    writes: [{ to: bufferOf(op, 'candidates'), data: words }, { to: bufferOf(op, 'samples'), data: samplesOf(count) }],
    dispatches: [{ op: op.op, step: stepOf({ tokens: ROWS, samples: count }) }],
    reads: { tokens: { from: bufferOf(op, 'lastTokens'), size: 4 * count } },
    bytes: 0,
    check: (results) =>
      firstOf(expected.map((token, slot) => {
        const found = results.words('tokens')[slot];
        return found === token ? undefined : `token ${found} is drawn, and should be ${token} (sample ${slot})`;
      })),
  }];
}
