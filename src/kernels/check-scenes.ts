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

/** The contexts of a check: within a split, at its ends, and over several splits. */
const CHECK_CONTEXTS = [1, 127, 128, 129, 515] as const;

/** Tiles of rows, as words, and how many there are. */
export interface AttentionCheck {
  readonly tiles: number;
  readonly rows: number;
  readonly maxContext: number;
  readonly words: () => CheckScene['words'];
}

/**
 * Rows of one request: for each context that fits, the `tileRows` rows that end there, or as many as there are. One tile
 * more has a row less than it could.
 *
 * @param maxRows the most rows of a step
 */
export function attentionCheck(
  { maxBlocks, blockSize }: { readonly maxBlocks: number; readonly blockSize: number },
  numBlocks: number,
  tileRows: number,
  maxRows: number,
): AttentionCheck {
  const longest = maxBlocks * blockSize;
  const ends = [...CHECK_CONTEXTS, 70].filter((context) => context <= longest);
  const positions: number[] = [];
  const tiles: (readonly [first: number, count: number])[] = [];
  for (const [i, end] of ends.entries()) {
    const most = i === ends.length - 1 ? Math.max(1, tileRows - 1) : tileRows;
    const count = Math.min(end, most);
    if (positions.length + count > maxRows) break;
    tiles.push([positions.length, count]);
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
