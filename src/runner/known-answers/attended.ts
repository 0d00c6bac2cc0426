import type { KvCacheDtype } from '../../core/kv-cache-dtype.ts';
import { layerBlockBytes } from '../../kernels/rope-kv-write.ts';
import { ATTENTION_SPLIT, attentionWords } from '../../kernels/step-inputs.ts';
import { paddedSizes } from '../../models/padded-sizes.ts';
import { halfFloats } from '../../quant/half-floats.ts';
import { cacheWords, elementWord, queryWord, type QkvShape, scaleWord } from './cache-layout.ts';
import { bufferOf, countOf, firstOf, type KnownAnswer, Sequence, stepOf, type TestedModel, type TestedOp, wrong } from './known-answer.ts';
import { attentionReference } from './references.ts';

/** Tokens of the last row's context: one split, and a part of a second. */
const CONTEXT = ATTENTION_SPLIT + 32;
/** Numbers of one size, so that scores are neither all alike nor one far above the others. */
const QUERY_SIZE = 6;

/** Heads whose results are compared. */
const MOST_HEADS = 12;

/** Some of the first `count` integers, the first and the last among them. */
function spread(count: number, most: number): readonly number[] {
  const length = Math.min(count, most);
  return Array.from({ length }, (_, i) => (length === 1 ? 0 : Math.round((i * (count - 1)) / (length - 1))));
}

/** Keys or values of a few blocks, as they are in the cache. */
interface KnownVectors {
  readonly words: Uint32Array<ArrayBuffer>;
  of(slot: number, kvHead: number): Float64Array;
}

/** An element of a cache, and how its bits are put into its word. */
interface StoredElement {
  readonly value: number;
  readonly bits: number;
}

const floatBits = new DataView(new ArrayBuffer(4));

function bitsOf(value: number): number {
  floatBits.setFloat32(0, value);
  return floatBits.getUint32(0);
}

/** A number from -1 to 1 in each type of cache. */
const ELEMENTS: Readonly<Record<KvCacheDtype, (sequence: Sequence, scale: number) => StoredElement & { readonly width: number }>> = {
  f32: (sequence) => {
    const value = sequence.between(1);
    return { value, bits: bitsOf(value), width: 32 };
  },
  f16: (sequence) => {
    const bits = (sequence.below(2) << 15) | ((11 + sequence.below(4)) << 10) | sequence.below(1024);
    return { value: halfFloats().values[bits] ?? NaN, bits, width: 16 };
  },
  int8: (sequence, scale) => {
    const step = sequence.below(255) - 127;
    return { value: step * scale, bits: step & 0xff, width: 8 };
  },
};

function knownVectors(shape: QkvShape, dtype: KvCacheDtype, numBlocks: number, kind: 'key' | 'value'): KnownVectors {
  const { headSize, numKvHeads, blockSize } = shape;
  const words = new Uint32Array(cacheWords(shape, dtype, numBlocks));
  const sequence = new Sequence(kind === 'key' ? 5 : 6);
  const vectors = new Map<number, Float64Array>();
  for (let slot = 0; slot < numBlocks * blockSize; slot++) {
    for (let kvHead = 0; kvHead < numKvHeads; kvHead++) {
      const vector = { kind, slot, kvHead };
      const scale = dtype === 'int8' ? Math.fround((0.75 + sequence.between(0.25)) / 127) : 1;
      const values = Float64Array.from({ length: headSize }, (_, i) => {
        const { value, bits, width } = ELEMENTS[dtype](sequence, scale);
        const word = elementWord(shape, dtype, vector, i);
        words[word] = ((words[word] ?? 0) | (bits << (width * (i % (32 / width))))) >>> 0;
        return value;
      });
      if (dtype === 'int8') words[scaleWord(shape, vector)] = bitsOf(scale);
      vectors.set(slot * numKvHeads + kvHead, values);
    }
  }
  return { words, of: (slot, kvHead) => vectors.get(slot * numKvHeads + kvHead) ?? new Float64Array(headSize).fill(NaN) };
}

/** Rows of one request that attend to a known cache. */
class AttentionScene {
  readonly shape: QkvShape;
  /** Tokens of the longest context. */
  readonly context: number;
  readonly #model: TestedModel;
  readonly #blocks: readonly number[];
  readonly #queries: Float32Array<ArrayBuffer>;
  readonly #keys: KnownVectors;
  readonly #values: KnownVectors;

  constructor(model: TestedModel) {
    const { blockSize, numBlocks, maxModelLen } = model.cache;
    this.#model = model;
    this.shape = { ...model.config, blockSize };
    this.context = Math.min(CONTEXT, maxModelLen, numBlocks * blockSize);
    const count = Math.ceil(this.context / blockSize);
    this.#blocks = Array.from({ length: count }, (_, i) => count - 1 - i); // in another order than the text's
    const { numHeads, numKvHeads, headSize } = this.shape;
    const words = 4 * numKvHeads * Math.ceil(numHeads / numKvHeads / 4) * headSize;
    this.#queries = new Sequence(7).floats(4 * words, QUERY_SIZE);
    this.#keys = knownVectors(this.shape, model.cache.dtype, count, 'key');
    this.#values = knownVectors(this.shape, model.cache.dtype, count, 'value');
  }

  /** Positions of rows that are each a tile: the last, one early, and those beside the border of two splits. */
  get singles(): readonly number[] {
    const last = this.context - 1;
    return [last, Math.min(5, last), Math.min(ATTENTION_SPLIT - 1, last), Math.min(ATTENTION_SPLIT, last)];
  }

  /** Positions of neighbouring rows, across that border where there is one. */
  tile(rows: number): readonly number[] {
    const end = Math.min(ATTENTION_SPLIT + 2, this.context);
    const first = Math.max(0, end - rows);
    return Array.from({ length: end - first }, (_, i) => first + i);
  }

  /** Dispatches of the op for these rows. */
  answer(tested: TestedOp, positions: readonly number[], kind: 'singles' | 'tiles'): KnownAnswer {
    const { op } = tested;
    const tiles = kind === 'singles' ? positions.map((_, row) => [row, 1]) : [[0, positions.length]];
    const step = stepOf({ tokens: positions.length, [kind]: tiles.length, maxContext: this.context, samples: 1 });
    const { config, cache: { blockSize, dtype } } = this.#model;
    const words = attentionWords(positions.map((position) => ({ position, table: 0 })));
    return {
      kernel: op.name,
      writes: [
        { to: bufferOf(tested, 'queries'), data: this.#queries },
        { to: bufferOf(tested, 'keys'), data: this.#keys.words },
        { to: bufferOf(tested, 'values'), data: this.#values.words },
        { to: bufferOf(tested, 'rows'), data: new Uint32Array(positions.flatMap((position, row) => [0, position, 0, words[row] ?? 0])) },
        { to: bufferOf(tested, 'blockTables'), data: new Uint32Array(this.#blocks) },
        { to: bufferOf(tested, 'tiles'), data: new Uint32Array(tiles.flat()) },
      ],
      dispatches: [{ op, step }],
      reads: this.#reads(tested, positions.length),
      bytes: 2 * this.#blocks.length * layerBlockBytes({ ...config, blockSize }, dtype),
      check: (results) => this.#wrongRows(results.floats('y'), positions, (position) => position < ATTENTION_SPLIT),
    };
  }

  /** The merge of rows with several splits, after {@link answer}. */
  merge(tested: TestedOp, positions: readonly number[]): KnownAnswer {
    const step = stepOf({ tokens: positions.length, maxContext: this.context });
    return {
      kernel: `${tested.op.name} (or attention)`,
      follows: true,
      writes: [{ to: bufferOf(tested, 'counts'), data: countOf(positions.length) }],
      dispatches: [{ op: tested.op, step }],
      reads: this.#reads(tested, positions.length),
      bytes: 0,
      check: (results) => this.#wrongRows(results.floats('y'), positions, () => true),
    };
  }

  #reads(tested: TestedOp, rows: number): KnownAnswer['reads'] {
    return { y: { from: bufferOf(tested, 'y'), size: 4 * rows * paddedSizes(this.#model.config).attended } };
  }

  #wrongRows(y: Float32Array, positions: readonly number[], isWritten: (position: number) => boolean): string | undefined {
    const { numHeads, headSize } = this.shape;
    const stride = paddedSizes(this.#model.config).attended;
    for (const [row, position] of positions.entries()) {
      if (!isWritten(position)) continue;
      for (const head of spread(numHeads, MOST_HEADS)) {
        const first = row * stride + head * headSize;
        const expected = this.#expected(row, position, head);
        const fault = firstOf(expected.map((each, i) => wrong(`element ${i} of head ${head} at position ${position}`, y[first + i], each)));
        if (fault !== undefined) return fault;
      }
    }
    return undefined;
  }

  #expected(row: number, position: number, head: number) {
    const { numHeads, numKvHeads, headSize, blockSize } = this.shape;
    const kvHead = Math.floor(head / (numHeads / numKvHeads));
    const query = Float32Array.from({ length: headSize }, (_, i) => this.#queries[queryWord(this.shape, row, head, i)] ?? NaN);
    const slots = Array.from({ length: position + 1 }, (_, token) => {
      return (this.#blocks[Math.floor(token / blockSize)] ?? 0) * blockSize + (token % blockSize);
    });
    const inOrder = (vectors: KnownVectors) => slots.map((slot) => vectors.of(slot, kvHead));
    return attentionReference(query, inOrder(this.#keys), inOrder(this.#values));
  }
}

/** Attention of rows alone, of rows in a tile where that kernel is compiled, and the merge of their splits. */
export function attentionAnswers(model: TestedModel, op: TestedOp): KnownAnswer[] {
  const scene = new AttentionScene(model);
  const isTiled = op.op.name === 'attention-tiled';
  if (isTiled && model.tileRows === 1) return []; // deferred
  const positions = isTiled ? scene.tile(model.tileRows) : scene.singles;
  const merge = mergeAfter(model, op);
  const isSplit = scene.context > ATTENTION_SPLIT;
  return [scene.answer(op, positions, isTiled ? 'tiles' : 'singles'), ...(isSplit ? [scene.merge(merge, positions)] : [])];
}

/** The op that merges the splits of an attention op. */
function mergeAfter({ ops, builder }: TestedModel, { op }: TestedOp): TestedOp {
  const after = ops.slice(ops.findIndex(({ bindGroup }) => bindGroup === op.bindGroup));
  const merge = after.map((each) => ({ op: each, ...builder.boundKernel(each), matrix: undefined })).find(({ spec }) => spec.name === 'attention-merge');
  if (merge === undefined) throw new Error('nothing merges the splits of attention');
  return merge;
}
