import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { KV_CACHE_DTYPES, type KvCacheDtype } from '../../../src/core/kv-cache-dtype.ts';
import { numPartialsAt } from '../../../src/core/partials.ts';
import { attention, partialsBytes } from '../../../src/kernels/attention.ts';
import type { AttentionLanes } from '../../../src/kernels/attention-lanes.ts';
import { queriesBytes } from '../../../src/kernels/rope-kv-write.ts';
import { ATTENTION_SPLIT, attentionWords } from '../../../src/kernels/step-inputs.ts';
import { pack, packQueries, randomScene, type Row, type Scene, shuffledTables, wrong } from '../../support/attention-scene.ts';
import { firstDifference, firstWritten, KernelLab, type Result } from '../../support/kernel-lab.ts';
import { createRandom, type Random } from '../../support/random.ts';

let lab: KernelLab;
beforeAll(async () => void (lab = await KernelLab.open()));
afterEach(() => lab.clear());
afterAll(() => lab.close());

/** How a kernel is built. */
type Build = AttentionLanes & { readonly subgroups: boolean };

/** Tiles of rows that follow one another in the same request, of up to `largest` rows: [first row, how many] each. */
function tilesOf(rows: readonly Row[], largest: number): [number, number][] {
  const tiles: [number, number][] = [];
  for (const [i, { request, position }] of rows.entries()) {
    const [before, tile] = [rows[i - 1], tiles.at(-1)];
    const follows = before?.request === request && before.position === position - 1;
    if (tile !== undefined && follows && tile[1] < largest) tile[1]++;
    else tiles.push([i, 1]);
  }
  return tiles;
}

/**
 * A scene's numbers on the GPU, for kernels of any build. Sizes of buffers are part of a kernel's text, so all scenes of a shape
 * have the same ones: those of the most rows, and of a cache in which a request has all of its blocks.
 */
function upload(scene: Scene, random: Random) {
  const { shape, rows } = scene;
  const { tables, numBlocks: numUsed } = shuffledTables(scene, random);
  const numBlocks = Math.max(numUsed, shape.maxBlocks + 1);
  const tileWords = new Uint32Array(rows.length * 2);
  return {
    queries: lab.input(new Float32Array(queriesBytes(shape, RAGGED.length) / 4).fill(NaN)),
    keys: lab.input(pack(scene, 'key', tables, numBlocks)),
    values: lab.input(pack(scene, 'value', tables, numBlocks)),
    rows: lab.input(new Uint32Array(rows.length * 4)),
    blockTables: lab.input(new Uint32Array(tables.flat())),
    singles: lab.input(tileWords),
    tiles: lab.input(tileWords),
    partials: lab.output(partialsBytes(shape, MOST_PARTIALS) / 4),
    y: lab.output(rows.length * shape.numHeads * shape.headSize),
  };
}

/** The kernels of one build; run(order, largest) computes those of the scene's rows, in that order, in tiles of `largest`. */
function stage(scene: Scene, data: ReturnType<typeof upload>, attentionLanes: Build) {
  const { shape, rows } = scene;
  const rowWords = shape.numHeads * shape.headSize;
  const { y, partials } = data;
  const buffers = { ...data, y: y.buffer, partials: partials.buffer, counts: lab.rowCount };
  const ops = attention(lab.builder, { ...shape, ...buffers, attentionLanes, subgroups: attentionLanes.subgroups, kvCacheDtype: scene.dtype });
  return async (order = rows.map((_, i) => i), largest = attentionLanes.tileRows): Promise<Result> => {
    const chosen = order.map((i) => rows[i] ?? { request: NaN, position: NaN });
    const tiles = tilesOf(chosen, largest);
    const [singles, several] = [tiles.filter(([, count]) => count === 1), tiles.filter(([, count]) => count > 1)];
    lab.write(data.queries, packQueries(scene, order));
    const words = attentionWords(chosen.map(({ request, position }) => ({ position, table: request })));
    const numPartials = chosen.reduce((sum, { position }) => sum + numPartialsAt(position, ATTENTION_SPLIT), 0);
    lab.write(data.rows, new Uint32Array(chosen.flatMap(({ position }, i) => [9999, position, 9999, words[i] ?? 9999])));
    lab.write(data.singles, new Uint32Array(singles.flat()));
    lab.write(data.tiles, new Uint32Array(several.flat()));
    const maxContext = Math.max(...chosen.map(({ position }) => position + 1));
    const step = { tokens: order.length, maxContext, singles: singles.length, tiles: several.length };
    const [result, ofSplits] = await lab.run(ops, step, [y, partials]);
    if (result === undefined || ofSplits === undefined) throw new Error('no result');
    expect(firstWritten(result, order.length * rowWords)).toBeUndefined();
    expect(firstWritten(ofSplits, partialsBytes(shape, numPartials) / 4)).toBeUndefined();
    return result;
  };
}

/** Requests that prefill (several rows of one) and decode, at and around the edges of blocks and of splits of 128. */
const RAGGED: readonly Row[] = [
  { request: 1, position: 299 },
  ...[0, 1, 2, 3, 4].map((position) => ({ request: 0, position })),
  ...[125, 126, 127, 128].map((position) => ({ request: 2, position })),
  ...[13, 14, 15].map((position) => ({ request: 3, position })),
  { request: 4, position: 16 },
  { request: 5, position: 0 },
  ...[255, 256].map((position) => ({ request: 6, position })),
];

/** The partial results of the rows of the long context, which are more than RAGGED has. */
const LONG = [2047, 1024, 1025];
const MOST_PARTIALS = 16 + 9 + 9;

/** Those that ship: on a software adapter, and on a GPU. */
const SOFTWARE = { classLanes: 1, vectorLanes: 4, tileRows: 4, isFlat: true } satisfies AttentionLanes;
const GPU = { classLanes: 4, vectorLanes: 16, tileRows: 4, isFlat: false } satisfies AttentionLanes;
/** Some that do not. */
const ODD = { classLanes: 4, vectorLanes: 4, tileRows: 3, isFlat: true } satisfies AttentionLanes;
const ODD_GPU = { ...GPU, classLanes: 1, vectorLanes: 8, tileRows: 3 } satisfies AttentionLanes;

type Shape = readonly [numHeads: number, numKvHeads: number, headSize: number, blockSize: number];

const SMOLLM2 = { numHeads: 9, numKvHeads: 3, headSize: 64, blockSize: 16, maxBlocks: 128 };

/** The first is SmolLM2-135M's. */
const SHAPES: readonly Shape[] = [
  [9, 3, 64, 16],
  [2, 2, 16, 16],
  [4, 2, 32, 16],
  [4, 1, 80, 16],
  [5, 1, 32, 32],
  [6, 3, 96, 16],
  [3, 1, 100, 16],
  [8, 1, 128, 16],
  [3, 1, 256, 8],
  [8, 8, 80, 16],
];

/** The rows' bits, in the order of the scene. */
function bitsOfRows({ bits }: Result, order: readonly number[], rowWords: number): string[] {
  const result: string[] = [];
  for (const [place, row] of order.entries()) result[row] = bits.slice(place * rowWords, (place + 1) * rowWords).join();
  return result;
}

const ALL = RAGGED.map((_, i) => i);

/** What differs from f32 is how elements are read: all shapes again would compile for minutes. */
const OTHER_HEADS = { f16: [16, 64, 100], int8: [16, 64, 100, 128] };
const shapesOf = (dtype: KvCacheDtype): readonly Shape[] =>
  dtype === 'f32' ? SHAPES : SHAPES.filter(([, , headSize]) => OTHER_HEADS[dtype].includes(headSize));
/** In every build. */
const BUILT_HEADS = { f32: [16, 64, 100], f16: [64], int8: [16, 64] };

describe.each(KV_CACHE_DTYPES)('%s KV', (dtype) => {
  const sceneOf = ([numHeads, numKvHeads, headSize, blockSize]: Shape) => {
    const random = createRandom(numHeads * headSize);
    const isSmolLm2 = headSize === SMOLLM2.headSize;
    const shape = isSmolLm2 ? SMOLLM2 : { numHeads, numKvHeads, headSize, blockSize, maxBlocks: Math.ceil(400 / blockSize) };
    return { scene: randomScene(shape, dtype, RAGGED, random), random, rowWords: numHeads * headSize };
  };

  test.each(shapesOf(dtype))(
    '%i heads over %i of %i, blocks of %i: right, and a row has the same bits in every batch, alone and in tiles',
    async (...shape) => {
      const { scene, random, rowWords } = sceneOf(shape);
      const tileRows = shape[2] > 100 ? 2 : 4; // long vectors make long texts, which compile slowly
      const run = stage(scene, upload(scene, random), { ...SOFTWARE, tileRows, subgroups: lab.gpu.hasSubgroups });
      const tiled = await run();
      expect(wrong(scene, tiled)).toBeUndefined();
      const expected = bitsOfRows(tiled, ALL, rowWords);
      const shuffled = ALL.toSorted(() => random.below(3) - 1);
      for (const order of [ALL.toReversed(), [6, 0, 9], [2, 3, 10, 11, 12, 6, 7], shuffled, ...ALL.map((row) => [row])]) {
        for (let largest = order.length > 1 ? tileRows : 1; largest > 0; largest--) {
          for (const [row, bits] of bitsOfRows(await run(order, largest), order, rowWords).entries()) {
            if (bits === undefined) continue;
            expect(bits === expected[row], `row ${row} in a batch of ${order.length}, tiles of ${largest}`).toBe(true);
          }
        }
      }
    },
  );

  // For the same reason, not all shapes.
  test.each(SHAPES.filter(([, , headSize]) => BUILT_HEADS[dtype].includes(headSize)))(
    '%i heads over %i of %i, blocks of %i: lanes, tiles and subgroups change no bit',
    async (...shape) => {
      const { scene, random } = sceneOf(shape);
      const data = upload(scene, random);
      const results: Result[] = [];
      for (const subgroups of lab.gpu.hasSubgroups ? [true, false] : [false]) {
        for (const lanes of shape[2] === 16 ? [SOFTWARE, GPU, ODD] : [SOFTWARE, GPU]) {
          const run = stage(scene, data, { ...lanes, subgroups });
          results.push(await run(), await run(ALL, 1));
        }
      }
      const [first, ...others] = results;
      if (first === undefined) throw new Error('no result');
      expect(wrong(scene, first)).toBeUndefined();
      for (const [i, result] of others.entries()) expect(firstDifference(first, result), `result ${i + 1}`).toBeUndefined();
    },
  );

  // Compared with each other only: without fma() they may round differently. The cache's type makes no difference to the sums.
  test.runIf(dtype === 'f32')('with multiply-adds written as fma(), results are right, and lanes, tiles and subgroups change no bit', async () => {
    const own = lab;
    lab = await KernelLab.open('f32', false);
    onTestFinished(() => {
      lab.clear();
      lab = own;
    });
    const { scene, random } = sceneOf(SHAPES[1] ?? SHAPES[0] ?? [1, 1, 16, 16]);
    const data = upload(scene, random);
    const results: Result[] = [];
    for (const subgroups of lab.gpu.hasSubgroups ? [true, false] : [false]) {
      for (const lanes of [GPU, ODD_GPU]) {
        const run = stage(scene, data, { ...lanes, subgroups });
        results.push(await run(), await run(ALL, 1), await run(ALL.toReversed(), 1));
      }
    }
    const inOrder = results.map((result, i) => bitsOfRows(result, i % 3 === 2 ? ALL.toReversed() : ALL, 2 * 16));
    const [first] = results;
    if (first === undefined) throw new Error('no result');
    expect(wrong(scene, first)).toBeUndefined();
    for (const [i, rows] of inOrder.entries()) expect(rows, `result ${i}`).toEqual(inOrder[0]);
  });

  test('a later row of a tile that is no number leaves the earlier ones as they are', async () => {
    const rows = [4, 5, 6, 7].map((position) => ({ request: 0, position }));
    const healthy = randomScene(SMOLLM2, dtype, rows, createRandom(8));
    const sick = randomScene(SMOLLM2, dtype, rows, createRandom(8));
    for (const vectors of [sick.keys, sick.values]) for (const vector of vectors[0]?.[7] ?? []) vector.fill(NaN);
    for (const lanes of [SOFTWARE, GPU]) {
      const build = { ...lanes, subgroups: lab.gpu.hasSubgroups };
      const expected = await stage(healthy, upload(healthy, createRandom(9)), build)();
      const actual = await stage(sick, upload(sick, createRandom(9)), build)();
      const size = SMOLLM2.numHeads * SMOLLM2.headSize;
      expect(firstDifference(expected, actual, 3 * size)).toBeUndefined();
      expect(actual.floats.subarray(3 * size).every(Number.isNaN)).toBe(true);
    }
  });

  test('a long context: 2048 tokens in 16 splits', async () => {
    const random = createRandom(5);
    const scene = randomScene(SMOLLM2, dtype, LONG.map((position) => ({ request: 0, position })), random);
    const run = stage(scene, upload(scene, random), { ...SOFTWARE, subgroups: lab.gpu.hasSubgroups });
    expect(wrong(scene, await run())).toBeUndefined();
  });

  test.each([SOFTWARE, GPU])('scores far apart, within a split and between splits, neither overflow nor vanish', async (lanes) => {
    const shape = { numHeads: 2, numKvHeads: 1, headSize: 32, blockSize: 16, maxBlocks: 32 };
    const random = createRandom(6);
    const scene = randomScene(shape, dtype, [399, 150, 151].map((position) => ({ request: 0, position })), random);
    // Scores of about ±300: exp of one overflows f32, and of the other vanishes, unless the largest is taken off first.
    for (const heads of scene.queries) for (const query of heads) query.forEach((v, i) => void (query[i] = v * 60));
    const result = await stage(scene, upload(scene, random), { ...lanes, subgroups: lab.gpu.hasSubgroups })();
    expect(wrong(scene, result)).toBeUndefined();
    expect(result.floats.every(Number.isFinite)).toBe(true);
  });
});
