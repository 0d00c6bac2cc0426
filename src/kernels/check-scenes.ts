import type { KvCacheDtype } from '../core/kv-cache-dtype.ts';
import type { CheckScene } from '../gpu/check-scene.ts';
import { attentionWords, SAMPLE_BYTES, writeSample } from './step-inputs.ts';

/** An epilogue's part of the scene of a product. */
export type EpilogueScene = Partial<Pick<CheckScene, 'words' | 'numbers'>> & Pick<CheckScene, 'outputs'>;

/**
 * Tokens of a product's check, the same for every width: several blocks of narrow lanes, and for the widest one that is full
 * and one that is not.
 */
export const CHECK_TOKENS = 12;

/** The scene of a product of x for `tokens` tokens. */
export function productScene(tokens: number, { words, numbers, outputs }: EpilogueScene): CheckScene {
  return { words: { counts: Uint32Array.of(tokens, 0, 0, 0), ...words }, numbers: { x: 'signed', ...numbers }, outputs };
}

/**
 * Rows of a step: token, position, cache slot, row of the block tables. Slots alternate between two blocks, and positions go
 * back and forth.
 *
 * @param positions how many there are
 */
export function checkRows(tokens: number, blockSize: number, positions: number): Uint32Array<ArrayBuffer> {
  const rows = Array.from({ length: tokens }, (_, i) => {
    const slot = (i % 2) * blockSize + (Math.floor(i / 2) % blockSize);
    return [0, (i * 37) % positions, slot, 0];
  });
  return new Uint32Array(rows.flat());
}

/** Blocks of the KV cache that {@link checkRows} writes to. */
export const CHECK_BLOCKS = 2;

/** Samples of rows in reverse, every other one greedy. */
export function checkSamples(count: number): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array((count * SAMPLE_BYTES) / 4);
  const floats = new Float32Array(words.buffer);
  for (let i = 0; i < count; i++) {
    const sample = { row: count - 1 - i, slot: i, seed: 1234 + i, choice: i, position: 7 * i, temperature: i % 2 };
    writeSample(words, floats, (i * SAMPLE_BYTES) / 4, sample);
  }
  return words;
}

/** The prompts' chunks of a check: a chunk's rows, and the context of its last one. */
const CHECK_CHUNKS = [
  [1, 1], [7, 127], [7, 128], [7, 129], [7, 1000], [1, 127], [1, 128], [1, 129], [1, 1000], [32, 1000],
] as const;

/** Rows of a check of attention, in tiles. */
export interface AttentionCheck {
  readonly tiles: number;
  readonly rows: number;
  readonly maxContext: number;
  readonly words: () => CheckScene['words'];
}

/**
 * Chunks of one request, each cut into tiles of `tileRows` rows and a last one of what is left: the same rows whatever
 * `tileRows` is. Contexts that are too long are cut.
 *
 * @param maxRows the most rows of a step; chunks that do not fit are left out
 */
export function attentionCheck(
  { maxBlocks, blockSize }: { readonly maxBlocks: number; readonly blockSize: number },
  numBlocks: number,
  tileRows: number,
  maxRows: number,
): AttentionCheck {
  const longest = maxBlocks * blockSize;
  const positions: number[] = [];
  const tiles: (readonly [first: number, count: number])[] = [];
  for (const [rows, context] of CHECK_CHUNKS) {
    const end = Math.min(context, longest);
    const count = Math.min(rows, end);
    if (positions.length + count > maxRows) continue;
    for (let row = 0; row < count; row += tileRows) tiles.push([positions.length + row, Math.min(tileRows, count - row)]);
    positions.push(...Array.from({ length: count }, (_, row) => end - count + row));
  }
  return {
    tiles: tiles.length,
    rows: positions.length,
    maxContext: 1 + Math.max(...positions),
    words: () => {
      const lastWords = attentionWords(positions.map((position) => ({ position, table: 0 })));
      return {
        rows: new Uint32Array(positions.flatMap((position, i) => [0, position, 0, lastWords[i] ?? 0])),
        // Neighbours of a sequence are not neighbours in the cache.
        blockTables: Uint32Array.from({ length: maxBlocks }, (_, i) => (i * 7 + 3) % numBlocks),
        tiles: new Uint32Array(tiles.flat()),
      };
    },
  };
}

/** Queries, keys and values. INT8 keys are large numbers: with large queries too, all but a few tokens would have no weight. */
export function cacheNumbers(dtype: KvCacheDtype): CheckScene['numbers'] {
  return { queries: dtype === 'int8' ? 'small' : 'signed', keys: 'signed', values: 'signed' };
}
