import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { queriesBytes, ropeKvWrite, rotationTable } from '../../../src/kernels/rope-kv-write.ts';
import { type Expected, firstDifference, firstWrong, KernelLab, type Output, type Result } from '../../support/kernel-lab.ts';
import { ropeReference } from '../../support/kernel-references.ts';
import { createRandom } from '../../support/random.ts';

let lab: KernelLab;
beforeAll(async () => void (lab = await KernelLab.open()));
afterEach(() => lab.clear());
afterAll(() => lab.close());

interface Shape {
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headSize: number;
  readonly ropeDimensions: number;
  readonly interleaved: boolean;
}

const BLOCK_SIZE = 16;
const NUM_BLOCKS = 5;
const THETA = 100_000;
const POSITIONS = 8192;
/** Rows of several requests: positions and places in the cache have nothing to do with each other. */
const POSITION = [0, 1, 2, 4095, 17, 8191, 3, 0, 100];
const CACHE_SLOT = [79, 0, 16, 15, 33, 32, 50, 64, 7];
const ROWS = POSITION.length;

/** The first is SmolLM2-135M's. Then groups of 1, 2, 4, 5 and 8 heads, head sizes, partial rotation. */
const SHAPES: readonly Shape[] = [
  { numHeads: 9, numKvHeads: 3, headSize: 64, ropeDimensions: 64, interleaved: true },
  { numHeads: 2, numKvHeads: 2, headSize: 16, ropeDimensions: 16, interleaved: false },
  { numHeads: 4, numKvHeads: 2, headSize: 80, ropeDimensions: 32, interleaved: false },
  { numHeads: 4, numKvHeads: 1, headSize: 32, ropeDimensions: 8, interleaved: true },
  { numHeads: 5, numKvHeads: 1, headSize: 128, ropeDimensions: 128, interleaved: false },
  { numHeads: 16, numKvHeads: 2, headSize: 256, ropeDimensions: 64, interleaved: true },
];

function setUp(shape: Shape) {
  const { numHeads, numKvHeads, headSize } = shape;
  const random = createRandom(numHeads * headSize);
  const heads = numHeads + 2 * numKvHeads;
  const qkv = new Float32Array(ROWS * heads * headSize).map(() => random.normal());
  const cacheWords = NUM_BLOCKS * BLOCK_SIZE * numKvHeads * headSize;
  const queries = lab.output(queriesBytes(shape, ROWS) / 4);
  const keys = lab.output(cacheWords);
  const values = lab.output(cacheWords);
  const rows = new Uint32Array(POSITION.flatMap((position, row) => [9999, position, CACHE_SLOT[row] ?? 0, 9999]));
  const inputs = { qkv: lab.input(qkv), rows: lab.input(rows) };
  const op = ropeKvWrite(lab.builder, {
    ...shape,
    ...inputs,
    blockSize: BLOCK_SIZE,
    rotation: lab.input(rotationTable(POSITIONS, shape.ropeDimensions, THETA)),
    queries: queries.buffer,
    keys: keys.buffer,
    values: values.buffer,
    counts: lab.rowCount,
  });
  const head = (row: number, h: number): Float32Array =>
    qkv.subarray((row * heads + h) * headSize, (row * heads + h + 1) * headSize);
  return { op, head, rows, inputs, outputs: [queries, keys, values] };
}

/** Where a query, key or value element should stand; every other word stays poison. */
const QUERY = ({ numHeads, numKvHeads, headSize }: Shape, row: number, head: number, element: number): number => {
  const group = numHeads / numKvHeads;
  const fours = Math.ceil(group / 4);
  const [kvHead, inGroup] = [Math.floor(head / group), head % group];
  return (((row * numKvHeads + kvHead) * fours + Math.floor(inGroup / 4)) * headSize + element) * 4 + (inGroup % 4);
};
const KEY = ({ numKvHeads, headSize }: Shape, slot: number, kvHead: number, element: number): number =>
  ((Math.floor(slot / BLOCK_SIZE) * numKvHeads + kvHead) * headSize + element) * BLOCK_SIZE + (slot % BLOCK_SIZE);
const VALUE = ({ numKvHeads, headSize }: Shape, slot: number, kvHead: number, element: number): number =>
  ((Math.floor(slot / BLOCK_SIZE) * numKvHeads + kvHead) * BLOCK_SIZE + (slot % BLOCK_SIZE)) * headSize + element;

/** What each output should hold, by word. */
function expectations(shape: Shape, rows: number, head: (row: number, h: number) => Float32Array): Map<number, Expected>[] {
  const { numHeads, numKvHeads, headSize, ropeDimensions: dimensions, interleaved } = shape;
  const [queries, keys, values] = [new Map<number, Expected>(), new Map<number, Expected>(), new Map<number, Expected>()];
  for (let row = 0; row < rows; row++) {
    const rotated = (h: number): Expected[] =>
      ropeReference(head(row, h), POSITION[row] ?? 0, { dimensions, theta: THETA, interleaved });
    const slot = CACHE_SLOT[row] ?? 0;
    for (let h = 0; h < numHeads; h++) {
      for (const [i, expected] of rotated(h).entries()) queries.set(QUERY(shape, row, h, i), expected);
    }
    for (let h = 0; h < numKvHeads; h++) {
      for (const [i, expected] of rotated(numHeads + h).entries()) keys.set(KEY(shape, slot, h, i), expected);
      const value = head(row, numHeads + numKvHeads + h);
      for (let i = 0; i < headSize; i++) values.set(VALUE(shape, slot, h, i), { value: value[i] ?? NaN, error: 0 });
    }
  }
  return [queries, keys, values];
}

/** The first word that is wrong, or that was written and should not have been. */
function fault({ bits, floats }: Result, output: Output, expected: ReadonlyMap<number, Expected>): string | undefined {
  for (const [word, bit] of bits.entries()) {
    const wanted = expected.get(word);
    const wrong = wanted === undefined ? bit !== output.before[word] : firstWrong(floats, [wanted], word) !== undefined;
    if (wrong) return `word ${word}: ${floats[word]}, not ${wanted?.value ?? 'untouched'}`;
  }
  return undefined;
}

test.each(SHAPES)('$numHeads heads over $numKvHeads of $headSize, $ropeDimensions rotated, interleaved $interleaved', async (shape) => {
  const { op, head, outputs, rows, inputs } = setUp(shape);
  const all = await lab.run([op], { tokens: ROWS }, outputs);
  for (const [i, expected] of expectations(shape, ROWS, head).entries()) {
    expect(fault(all[i]!, outputs[i]!, expected), ['queries', 'keys', 'values'][i]).toBeUndefined();
  }
  // Four rows only: the others' queries and places in the cache are left alone.
  const four = await lab.run([op], { tokens: 4 }, outputs);
  for (const [i, expected] of expectations(shape, 4, head).entries()) {
    expect(fault(four[i]!, outputs[i]!, expected), ['queries', 'keys', 'values'][i]).toBeUndefined();
  }
  // The last row alone: the same bits at its place.
  const last = ROWS - 1;
  lab.write(inputs.rows, rows.slice(last * 4));
  const own = Array.from({ length: shape.numHeads + 2 * shape.numKvHeads }, (_, h) => [...head(last, h)]);
  lab.write(inputs.qkv, new Float32Array(own.flat()));
  const alone = await lab.run([op], { tokens: 1 }, outputs);
  const rowWords = all[0]!.bits.length / ROWS;
  const [before, after] = [all[0]!.bits.subarray(last * rowWords), alone[0]!.bits.subarray(0, rowWords)];
  expect(before.every((word, i) => word === after[i])).toBe(true);
  for (const i of [1, 2]) {
    const kept = { ...alone[i]!, bits: alone[i]!.bits.map((word, at) => (word === outputs[i]!.before[at] ? all[i]!.bits[at]! : word)) };
    expect(firstDifference(kept, all[i]!)).toBeUndefined();
  }
});
