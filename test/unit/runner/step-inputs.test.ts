import { expect, test } from 'vitest';
import { LAST_SAMPLED, type ScheduledRequest, type SchedulerOutput } from '../../../src/core/scheduler-output.ts';
import { FROM_SLOT } from '../../../src/kernels/step-inputs.ts';
import { type PackedStep, stepInputsLayout, StepPacker } from '../../../src/runner/step-inputs.ts';

const BLOCK_SIZE = 16;
const TILE_ROWS = 2;
const LAYOUT = stepInputsLayout(32, 4, 5);

const NO_NEEDS = { biased: 0, penalised: 0, filtered: 0, topK: 0, topP: 0 };

const request = (slot: number, parts: Partial<ScheduledRequest>): ScheduledRequest => ({
  requestId: `${slot}`,
  slot,
  tokenIds: [1],
  startPosition: 0,
  blockTable: [slot],
  samples: true,
  sampling: { temperature: 0, seed: 0, choice: 0 },
  ...parts,
});
const planOf = (requests: readonly ScheduledRequest[], numSteps = 1): SchedulerOutput => ({
  numSteps,
  requests,
  totalNumScheduledTokens: requests.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0),
});

/** The words as the kernels see them. */
function read({ words, shape }: PackedStep) {
  const at = (byte: number, count: number): number[] => [...words.subarray(byte / 4, byte / 4 + count)];
  const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
  return {
    shape,
    counts: [words[LAYOUT.rowCount / 4], words[LAYOUT.sampleCount / 4]],
    rows: Array.from({ length: shape.tokens }, (_, i) => at(LAYOUT.rows + i * 16, 4)),
    singles: at(LAYOUT.singles, shape.singles * 2),
    tiles: at(LAYOUT.tiles, shape.tiles * 2),
    samples: Array.from({ length: shape.samples }, (_, i) => at(LAYOUT.samples + i * 64, 5)),
    temperatures: Array.from({ length: shape.samples }, (_, i) => floats[LAYOUT.samples / 4 + i * 16 + 5]),
    sampling: Array.from({ length: shape.samples }, (_, i) => {
      const first = LAYOUT.samples / 4 + i * 16;
      return {
        biases: words[first + 6],
        flags: words[first + 7],
        penalties: [...floats.subarray(first + 8, first + 11)],
        k: words[first + 12],
        p: words[first + 13],
        distance: floats[first + 14],
        scale: floats[first + 15],
      };
    }),
    table: (i: number, length: number) => at(LAYOUT.blockTables + i * LAYOUT.maxBlocks * 4, length),
  };
}

const PREFILL = request(2, { tokenIds: [10, 11, 12], startPosition: 15, blockTable: [7, 3], samples: false });
const LAST_CHUNK = request(0, {
  tokenIds: [20, 21],
  startPosition: 31,
  blockTable: [9, 4, 6],
  sampling: { temperature: 0.7, seed: 2 ** 32 - 1, choice: 3 },
});
const DECODE = request(3, { tokenIds: [30], startPosition: 64, blockTable: [1, 2, 8, 5, 0] });

test('rows of contexts of several splits have their partial results one after the other, in every step', () => {
  const layout = stepInputsLayout(32, 4, 40);
  const blockTable = Array.from({ length: 40 }, (_, i) => i);
  const wordsOf = (plan: SchedulerOutput, step: number): number[] => {
    const { words, shape } = new StepPacker(layout, BLOCK_SIZE, () => TILE_ROWS).pack(plan, step);
    return Array.from({ length: shape.tokens }, (_, i) => words[(layout.rows + i * 16) / 4 + 3] ?? NaN);
  };
  const chunk = request(0, { tokenIds: [1, 2, 3, 4], startPosition: 126, blockTable, samples: false }); // 0, 0, 2 and 2 splits
  const short = request(1, { startPosition: 9, blockTable });
  const long = request(2, { startPosition: 511, blockTable }); // 4
  const longer = request(3, { startPosition: 600, blockTable }); // 5
  const place = 4096;
  expect(wordsOf(planOf([chunk, short, long, longer]), 0)).toEqual([0, 0, 0, 2 * place, 1 + 4 * place, 2 + 4 * place, 3 + 8 * place]);
  // A step later it has 5.
  expect(wordsOf(planOf([short, long, longer], 2), 1)).toEqual([0, 1, 2 + 5 * place]);
});

test('a ragged batch: each row its token, position, place in the cache and block table', () => {
  const step = read(new StepPacker(LAYOUT, BLOCK_SIZE, () => TILE_ROWS).pack(planOf([PREFILL, LAST_CHUNK, DECODE]), 0));
  expect(step.rows).toEqual([
    [10, 15, 7 * 16 + 15, 0],
    [11, 16, 3 * 16, 0],
    [12, 17, 3 * 16 + 1, 0],
    [20, 31, 4 * 16 + 15, 1],
    [21, 32, 6 * 16, 1],
    [30, 64, 0, 2],
  ]);
  expect([step.table(0, 2), step.table(1, 3), step.table(2, 5)]).toEqual([[7, 3], [9, 4, 6], [1, 2, 8, 5, 0]]);
  // Only what samples: its last row, and the position of the token to be drawn.
  expect(step.samples).toEqual([
    [4, 0, 2 ** 32 - 1, 3, 33],
    [5, 3, 0, 0, 65],
  ]);
  expect(step.temperatures).toEqual([Math.fround(0.7), 0]);
  expect(step.counts).toEqual([6, 2]);
  const attended = { contextTokens: 18 + 33 + 65, attendedTokens: 16 + 17 + 18 + 32 + 33 + 65 };
  expect(step.shape).toEqual({ tokens: 6, samples: 2, maxContext: 65, singles: 2, tiles: 2, ...attended, ...NO_NEEDS });
});

test('rows of a request are attended to in tiles, those that are left over alone', () => {
  const chunk = (slot: number, count: number): ScheduledRequest =>
    request(slot, { tokenIds: Array<number>(count).fill(1), blockTable: [slot, slot + 1] });
  const plan = planOf([chunk(0, 5), DECODE, chunk(1, 4), chunk(2, 1), chunk(3, 7)]);
  const pack = (tileRows: number) => read(new StepPacker(LAYOUT, BLOCK_SIZE, () => tileRows).pack(plan, 0));
  expect(pack(4)).toMatchObject({ singles: [4, 1, 5, 1, 10, 1], tiles: [0, 4, 6, 4, 11, 4, 15, 3] });
  expect(pack(2)).toMatchObject({ singles: [4, 1, 5, 1, 10, 1, 17, 1], tiles: [0, 2, 2, 2, 6, 2, 8, 2, 11, 2, 13, 2, 15, 2] });
  expect(pack(8)).toMatchObject({ singles: [5, 1, 10, 1], tiles: [0, 5, 6, 4, 11, 7] });
  expect(pack(1)).toMatchObject({ singles: Array.from({ length: 18 }, (_, i) => [i, 1]).flat(), tiles: [] });
});

test('sampling parameters, ragged: what each asks for, and how many ask for what', () => {
  const sampled = (slot: number, sampling: Partial<ScheduledRequest['sampling']>): ScheduledRequest =>
    request(slot, { sampling: { temperature: 0.5, seed: 0, choice: 0, ...sampling } });
  const all = [
    sampled(0, { topK: 7, topP: 0.25, minP: 0.1, repetitionPenalty: 1.5, frequencyPenalty: -2, presencePenalty: 0.5 }),
    sampled(1, {}),
    sampled(2, { logitBias: [[3, 100], [9, -1]], topP: 1, topK: -1, minP: 0, repetitionPenalty: 1 }),
    // Greedy: the filters are nothing to it, the penalties are.
    sampled(3, { temperature: 0, topK: 7, topP: 0.25, minP: 0.1, presencePenalty: 1 }),
  ];
  const step = read(new StepPacker(LAYOUT, BLOCK_SIZE, () => TILE_ROWS).pack(planOf(all), 0));
  const scale = Math.fround(2 ** 17 * Math.LOG2E);
  const off = { biases: 0, flags: 0, penalties: [1, 0, 0], k: 0, p: 0, distance: 1, scale };
  expect(step.sampling).toEqual([
    { biases: 0, flags: 3, penalties: [1.5, -2, 0.5], k: 7, p: 2 ** 30, distance: Math.fround(0.5 * Math.log(0.1)), scale },
    off,
    { ...off, biases: 2 },
    { ...off, flags: 1, penalties: [1, 0, 1], scale: 0 },
  ]);
  expect(step.shape).toMatchObject({ samples: 4, biased: 1, penalised: 2, filtered: 1, topK: 1, topP: 1 });
});

test.each([[1e-12, 1], [1 - 1e-12, 2 ** 32 - 1], [0.5, 2 ** 31]])('a top_p of %d is never off', (topP, p) => {
  const one = request(0, { sampling: { temperature: 1e-40, seed: 0, choice: 0, topP } });
  const { sampling } = read(new StepPacker(LAYOUT, BLOCK_SIZE, () => TILE_ROWS).pack(planOf([one]), 0));
  expect(sampling[0]).toMatchObject({ p, flags: 2, scale: Math.fround(3.4e38) });
});

test('steps after the first feed what their slot drew, one position further', () => {
  const packer = new StepPacker(LAYOUT, BLOCK_SIZE, () => TILE_ROWS);
  const crossing = request(1, { tokenIds: [40], startPosition: 14, blockTable: [5, 2] });
  const plan = planOf([DECODE, crossing], 3);
  packer.pack(plan, 0);
  const step = read(packer.pack(plan, 2));
  expect(step.rows).toEqual([
    [FROM_SLOT + 3, 66, 2, 0],
    [FROM_SLOT + 1, 16, 2 * 16, 1],
  ]);
  expect(step.samples).toEqual([
    [0, 3, 0, 0, 67],
    [1, 1, 0, 0, 17],
  ]);
  const attended = { contextTokens: 84, attendedTokens: 84 };
  expect(step.shape).toEqual({ tokens: 2, samples: 2, maxContext: 67, singles: 2, tiles: 0, ...attended, ...NO_NEEDS });
});

test('a smaller step leaves nothing of a larger one in what it counts', () => {
  const packer = new StepPacker(LAYOUT, BLOCK_SIZE, () => TILE_ROWS);
  packer.pack(planOf([LAST_CHUNK, DECODE, PREFILL]), 0);
  const step = read(packer.pack(planOf([request(1, { tokenIds: [50], blockTable: [6] })]), 0));
  expect(step.counts).toEqual([1, 1]);
  expect(step.rows).toEqual([[50, 0, 6 * 16, 0]]);
  expect(step.samples).toEqual([[0, 1, 0, 0, 1]]);
  expect(step.temperatures).toEqual([0]);
  expect(step.table(0, 1)).toEqual([6]);
  expect(step.shape.maxContext).toBe(1);
});

test('nothing is sampled: no samples', () => {
  const step = read(new StepPacker(LAYOUT, BLOCK_SIZE, () => TILE_ROWS).pack(planOf([PREFILL]), 0));
  expect(step.counts).toEqual([3, 0]);
});

test('a block table that ends too early is a bug, and said so', () => {
  const short = request(0, { tokenIds: [1, 2], startPosition: 15, blockTable: [4] });
  expect(() => new StepPacker(LAYOUT, BLOCK_SIZE, () => TILE_ROWS).pack(planOf([short]), 0)).toThrow(/position 16/);
});

test.each([[1, 1, 1], [8, 4, 3], [32, 8, 128], [256, 16, 512], [13, 7, 129]])(
  'parts of %i rows, %i samples, %i blocks can each be bound and do not overlap',
  (maxRows, maxSamples, maxBlocks) => {
    const layout = stepInputsLayout(maxRows, maxSamples, maxBlocks);
    const parts = [
      [layout.rowCount, 16],
      [layout.sampleCount, 16],
      [layout.rows, maxRows * 16],
      [layout.singles, maxRows * 8],
      [layout.tiles, Math.floor(maxRows / 2) * 8],
      [layout.samples, maxSamples * 64],
      [layout.blockTables, maxSamples * maxBlocks * 4],
    ] as const;
    for (const [i, [offset, size]] of parts.entries()) {
      expect(offset % 256).toBe(0);
      expect(offset + size).toBeLessThanOrEqual(parts[i + 1]?.[0] ?? layout.size);
    }
  },
);

test('so does the first step of a plan whose tokens nobody has read yet', () => {
  const ahead = { ...DECODE, tokenIds: [LAST_SAMPLED] };
  const known = request(1, { tokenIds: [40], startPosition: 14, blockTable: [5, 2] });
  const step = read(new StepPacker(LAYOUT, BLOCK_SIZE, () => TILE_ROWS).pack(planOf([ahead, known], 2), 0));
  expect(step.rows).toEqual([
    [FROM_SLOT + 3, 64, 0, 0],
    [40, 14, 5 * 16 + 14, 1],
  ]);
});
