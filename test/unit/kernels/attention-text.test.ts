import { expect, test } from 'vitest';
import { link } from '../../../src/gpu/link.ts';
import { attentionModules } from '../../../src/kernels/attention.ts';
import { defaultLanes } from '../../../src/kernels/attention-lanes.ts';
import { mergeModules } from '../../../src/kernels/attention-merge.ts';
import { multiplyAdd } from '../../../src/kernels/shaders.ts';

const buffer = { size: 4096 } as GPUBuffer;

/** The WGSL that a browser compiles for a software adapter or a GPU, without comments. */
function textOf(numHeads: number, numKvHeads: number, headSize: number, isSoftware: boolean, isTile: boolean): string {
  const shape = { numHeads, numKvHeads, headSize, blockSize: 16, maxBlocks: 8, kvCacheDtype: 'f32', subgroups: true } as const;
  const buffers = { queries: buffer, keys: buffer, values: buffer, partials: buffer };
  const lanes = defaultLanes(isSoftware, shape);
  const { code } = link([...attentionModules({ ...shape, ...buffers }, lanes, isTile ? lanes.tileRows : 1), multiplyAdd({ isSoftware })]);
  return code.replace(/ *\/\/.*$/gm, '');
}

// A compiler's time grows with the text, on software adapters faster than it.
test.each([
  [9, 3, 64, 17_900, 33_500],
  [32, 8, 128, 26_300, 38_700],
  [3, 1, 256, 35_000, 52_500],
])('%i heads over %i of %i: the unrolled text is short, and that for GPUs shorter', (numHeads, numKvHeads, headSize, ofRow, ofTile) => {
  const textOfKind = (isSoftware: boolean, isTile: boolean) => textOf(numHeads, numKvHeads, headSize, isSoftware, isTile).length;
  expect(textOfKind(true, false)).toBeLessThan(ofRow);
  expect(textOfKind(true, true)).toBeLessThan(ofTile);
  expect(textOfKind(false, false)).toBeLessThan(textOfKind(true, false));
  expect(textOfKind(false, true)).toBeLessThan(28_500);
});

test('queries are loaded in one place of the text, however many a tile has: each load is compiled with its check of bounds', () => {
  for (const isTile of [false, true]) expect(textOf(32, 8, 128, true, isTile).split(/[^_]queries\[/)).toHaveLength(2);
  for (const isTile of [false, true]) expect(textOf(32, 8, 128, true, isTile).split('query_of(')).toHaveLength(1 + 1 + 4);
});

test('for a GPU every multiply-add is written as fma(), in attention and its merge; for a software adapter none is', () => {
  for (const isTile of [false, true]) {
    expect(textOf(9, 3, 64, true, isTile)).not.toContain('fma(');
    const text = textOf(9, 3, 64, false, isTile);
    expect(text).toContain('return fma(d, vec4(factors.w), fma(c, vec4(factors.z), two));');
    // Besides them floats are only scaled: no line adds to a product. Integers have u32 literals or sizes in capitals.
    const sums = text.split('\n').filter((line) => /(?:output|dot|total|k\d|v\d)\w* \* |\+ \w+ \* (?:w|q\d|factors)/.test(line));
    expect(sums).toEqual([]);
  }
  const merge = link(mergeModules()).code.replace(/\/\/.*/g, '');
  expect(merge.split('multiply_add')).toHaveLength(3);
  expect(merge.split('\n').filter((line) => /\+ .* \* | \* .* \+ /.test(line) && !line.includes('u'))).toEqual([]);
});
