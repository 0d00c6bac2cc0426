import type { KvCacheDtype } from '../../core/kv-cache-dtype.ts';
import { cacheWords, elementWord, queryWord, type QkvShape, scaleWord } from './cache-layout.ts';
import { halfFloats } from '../../quant/half-floats.ts';
import {
  bufferOf, countOf, firstOf, type KnownAnswer, type Results, ROWS, Sequence, stepOf, type TestedModel, type TestedOp, type Write, wrong,
} from './known-answer.ts';
import { type EpilogueTest, type MostBytes, placeOf, productAnswers, testedProduct } from './products.ts';
import { exact, type Expected, headNormReference, sumReference, turned } from './references.ts';

/** Blocks of the cache that rows of the test are written to. */
const BLOCKS = 2;

/** Queries, keys and values of the test's rows: their positions, their slots in the cache, and how they are read back. */
class RotationScene {
  readonly shape: QkvShape;
  readonly #model: TestedModel;
  readonly #op: TestedOp;

  constructor(model: TestedModel, op: TestedOp) {
    this.#model = model;
    this.#op = op;
    this.shape = { ...model.config, blockSize: model.cache.blockSize };
  }

  get size(): number {
    const { numHeads, numKvHeads, headSize } = this.shape;
    return (numHeads + 2 * numKvHeads) * headSize;
  }

  #positionOf(row: number): number {
    return (37 * row + 3) % Math.min(this.#model.cache.maxModelLen, 256);
  }

  #slotOf(row: number): number {
    const { blockSize, numBlocks } = this.#model.cache;
    return (row % Math.min(BLOCKS, numBlocks)) * blockSize + ((5 * row + 3) % blockSize);
  }

  get writes(): Write[] {
    const rows = Array.from({ length: ROWS }, (_, row) => [0, this.#positionOf(row), this.#slotOf(row), 0]).flat();
    return [{ to: bufferOf(this.#op, 'rows'), data: new Uint32Array(rows) }];
  }

  reads(tokens: number): KnownAnswer['reads'] {
    const { cache: { numBlocks, dtype }, config: { ropeDimensions, numKvHeads, numHeads, headSize } } = this.#model;
    const words = cacheWords(this.shape, dtype, Math.min(BLOCKS, numBlocks));
    const queryWords = tokens * numKvHeads * Math.ceil(numHeads / numKvHeads / 4) * headSize * 4;
    const turns = Array.from({ length: tokens }, (_, row) => {
      const offset = 4 * this.#positionOf(row) * ropeDimensions;
      return [`turns of ${row}`, { from: bufferOf(this.#op, 'rotation'), offset, size: 4 * ropeDimensions, isKept: true }] as const;
    });
    return {
      queries: { from: bufferOf(this.#op, 'queries'), size: 4 * queryWords },
      keys: { from: bufferOf(this.#op, 'keys'), size: 4 * words },
      values: { from: bufferOf(this.#op, 'values'), size: 4 * words },
      ...Object.fromEntries(turns),
    };
  }

  /** Queries' and keys' elements are rotated in neighbouring pairs: what becomes of one whose pair is known. */
  rotated(results: Results, row: number, output: number, of: (output: number) => Expected | undefined): Expected | undefined {
    const { numHeads, numKvHeads, headSize } = this.shape;
    const element = output % headSize;
    const own = of(output);
    if (output >= (numHeads + numKvHeads) * headSize || element >= this.#model.config.ropeDimensions) return own;
    const [first, second] = [of(output - (output % 2)), of(output - (output % 2) + 1)];
    if (first === undefined || second === undefined) return undefined;
    const turns = results.floats(`turns of ${row}`);
    const pair = element - (element % 2);
    return turned(first, second, { cosine: turns[pair] ?? NaN, sine: turns[pair + 1] ?? NaN })[output % 2];
  }

  /** An element as attention reads it, and how far that may be from the number that was written. */
  stored(results: Results, row: number, output: number): { readonly found: number | undefined; readonly errorOf: (value: number) => number } {
    const { numHeads, numKvHeads, headSize } = this.shape;
    const [head, element] = [Math.floor(output / headSize), output % headSize];
    if (head < numHeads) return { found: results.floats('queries')[queryWord(this.shape, row, head, element)], errorOf: () => 0 };
    const kind = head < numHeads + numKvHeads ? 'key' : 'value';
    const vector = { kind, slot: this.#slotOf(row), kvHead: (head - numHeads) % numKvHeads } as const;
    const words = results.words(kind === 'key' ? 'keys' : 'values');
    const { dtype } = this.#model.cache;
    const word = words[elementWord(this.shape, dtype, vector, element)] ?? 0;
    const scale = dtype === 'int8' ? asFloat(words[scaleWord(this.shape, vector)] ?? 0) : 1;
    return STORED[dtype](word, element, scale);
  }
}

/**
 * Elements of each type of cache. A half is the number before or after it, and 0 where it would be subnormal. An 8-bit number is
 * half a step off at most; a step that is on the edge may go either way.
 */
const STORED: Readonly<Record<KvCacheDtype, (word: number, element: number, scale: number) => ReturnType<RotationScene['stored']>>> = {
  f32: (word) => ({ found: asFloat(word), errorOf: () => 0 }),
  f16: (word, element) => ({
    found: halfFloats().values[(word >>> (16 * (element % 2))) & 0xffff],
    errorOf: (value) => (Math.abs(value) > 65_000 ? Infinity : 2 ** -10 * Math.abs(value) + 2 ** -14),
  }),
  int8: (word, element, scale) => ({
    found: (((word >>> (8 * (element % 4))) << 24) >> 24) * scale,
    errorOf: (value) => 0.5 * Math.abs(scale) * (1 + 2 ** -10) + 2 ** -18 * Math.abs(value),
  }),
};

const bits = new DataView(new ArrayBuffer(4));

function asFloat(word: number): number {
  bits.setUint32(0, word);
  return bits.getFloat32(0);
}

/** The first output of a row that is not where attention reads it. */
function wrongOutput(scene: RotationScene, results: Results, row: number, output: number, of: (output: number) => Expected | undefined) {
  const expected = scene.rotated(results, row, output, of);
  if (expected === undefined) return undefined;
  const { found, errorOf } = scene.stored(results, row, output);
  const { value, error } = expected;
  return wrong(`output ${output} of row ${row}`, found, { value, error: error + errorOf(value) });
}

/** Elements of an 8-bit vector are within half a step of any scale that is too large. Its largest one is a whole number of steps. */
function wrongScale(scene: RotationScene, results: Results, row: number, outputs: readonly number[], of: (output: number) => Expected | undefined) {
  const rotated = outputs.map((output) => ({ output, expected: scene.rotated(results, row, output, of) ?? { value: NaN, error: NaN } }));
  const largest = rotated.reduce((a, b) => (Math.abs(b.expected.value) > Math.abs(a.expected.value) ? b : a));
  const { found } = scene.stored(results, row, largest.output);
  const { value, error } = largest.expected;
  return wrong(`output ${largest.output} of row ${row}, the largest of its vector,`, found, { value, error: error + 2 ** -9 * Math.abs(value) });
}

/** Queries, keys and values, rotated and written to where attention reads them, in the product's epilogue. */
export function ropeKvWriteProductAnswers(model: TestedModel, op: TestedOp, most: MostBytes): KnownAnswer[] {
  const tested = testedProduct(model, op);
  const { offset } = placeOf(model, tested.packed);
  const scene = new RotationScene(model, op);
  const bias = op.buffers['bias'];
  const check: EpilogueTest['check'] = (results, tokens, outputs) => {
    const biases = bias === undefined ? undefined : results.floats('bias');
    const rows = tested.product.rows.filter((row) => row < outputs);
    const ofRow = (row: number) => (output: number): Expected | undefined => {
      const expected = tested.product.output(output - offset, row);
      return expected && biases ? sumReference(expected, biases[output] ?? NaN) : expected;
    };
    return firstOf(
      Array.from({ length: tokens }, (_, row) => rows.map((each) => wrongOutput(scene, results, row, offset + each, ofRow(row)))).flat(),
    );
  };
  const reads: EpilogueTest['reads'] = (tokens) => ({
    ...scene.reads(tokens),
    ...(bias === undefined ? {} : { bias: { from: bufferOf(op, 'bias'), size: 4 * scene.size, isKept: true } }),
  });
  return productAnswers(model, tested, { writes: scene.writes, reads, check }, most);
}

/** The same in a kernel of its own, with biases or a norm of each head before the rotation. */
export function ropeKvWriteAnswers(model: TestedModel, op: TestedOp): KnownAnswer[] {
  const scene = new RotationScene(model, op);
  const { size, shape: { numHeads, numKvHeads, headSize } } = scene;
  const qkv = new Sequence(size).floats(ROWS * size, 2);
  const before = (['bias', 'gain'] as const).find((name) => op.buffers[name] !== undefined);
  const beforeSize = before === 'bias' ? size : 2 * headSize;
  const headOf = (results: Results, row: number, head: number): readonly Expected[] => {
    const own = qkv.subarray(row * size + head * headSize, row * size + (head + 1) * headSize);
    if (before === 'bias') return Array.from(own, (value, i) => sumReference(exact(value), results.floats('bias')[head * headSize + i] ?? NaN));
    if (before === undefined || head >= numHeads + numKvHeads) return Array.from(own, exact);
    const gain = results.floats('gain').subarray(head < numHeads ? 0 : headSize);
    return headNormReference(own, gain, model.config.rmsNormEps);
  };
  return [{
    kernel: op.op.name,
    writes: [{ to: bufferOf(op, 'qkv'), data: qkv }, { to: bufferOf(op, 'counts'), data: countOf(ROWS) }, ...scene.writes],
    dispatches: [{ op: op.op, step: stepOf({ tokens: ROWS }) }],
    reads: {
      ...scene.reads(ROWS),
      ...(before === undefined ? {} : { [before]: { from: bufferOf(op, before), size: 4 * beforeSize, isKept: true } }),
    },
    bytes: 0,
    check: (results) => {
      for (let row = 0; row < ROWS; row++) {
        for (let head = 0; head < numHeads + 2 * numKvHeads; head++) {
          const own = headOf(results, row, head);
          const of = (output: number): Expected | undefined => own[output % headSize];
          const outputs = Array.from({ length: headSize }, (_, i) => head * headSize + i);
          const fault = firstOf(outputs.map((output) => wrongOutput(scene, results, row, output, of))) ?? wrongScale(scene, results, row, outputs, of);
          if (fault !== undefined) return fault;
        }
      }
      return undefined;
    },
  }];
}
