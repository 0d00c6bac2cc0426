import type { Expected, Output, Result } from './kernel-lab.ts';
import { exactly, firstWrong } from './kernel-lab.ts';
import { ropeReference, type RopeOptions } from './kernel-references.ts';
import { cacheWords, elementWord, type QkvShape, queryWord } from '../../src/runner/known-answers/cache-layout.ts';

export { type QkvShape, queryWord };

/** The expected words of an output, and the row that writes each. */
export interface OwnedWords {
  /** -1: nobody. */
  readonly owners: Int32Array;
  readonly expected: readonly Expected[];
}

/** A row of a step: where it stands in its text, and in the cache. */
export interface QkvRow {
  readonly position: number;
  readonly slot: number;
}

/** Queries, keys and values (f32) of some rows, from [queries, keys, values] of each before rotation. */
export function expectedQkv(
  shape: QkvShape,
  options: RopeOptions,
  rows: readonly (QkvRow & { readonly qkv: readonly Expected[] })[],
  words: readonly [queries: number, numBlocks: number],
): readonly OwnedWords[] {
  const { numHeads, numKvHeads, headSize } = shape;
  const cache = cacheWords(shape, 'f32', words[1]);
  const [queries, keys, values] = [noOnes(words[0]), noOnes(cache), noOnes(cache)];
  for (const [row, { position, slot, qkv }] of rows.entries()) {
    for (let head = 0; head < numHeads + 2 * numKvHeads; head++) {
      const own = qkv.slice(head * headSize, (head + 1) * headSize);
      const kvHead = (head - numHeads) % numKvHeads;
      const isValue = head >= numHeads + numKvHeads;
      const kind = isValue ? 'value' : 'key';
      const output = head < numHeads ? queries : isValue ? values : keys;
      for (const [i, expected] of (isValue ? own : ropeReference(own, position, options)).entries()) {
        const word = head < numHeads ? queryWord(shape, row, head, i) : elementWord(shape, 'f32', { kind, slot, kvHead }, i);
        output.owners[word] = row;
        output.expected[word] = expected;
      }
    }
  }
  return [queries, keys, values];
}

function noOnes(words: number) {
  return { owners: new Int32Array(words).fill(-1), expected: exactly(new Float32Array(words)) };
}

/** The first word that is wrong, or that nobody should have written. */
export function firstMisplaced({ bits, floats }: Result, { before }: Output, { owners, expected }: OwnedWords): string | undefined {
  for (const [word, owner] of owners.entries()) {
    const fault =
      owner >= 0
        ? firstWrong(floats, expected.slice(word, word + 1), word)
        : bits[word] === before[word]
          ? undefined
          : `word ${word} was written: ${floats[word]}`;
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** The first word that a step of the first `rows` rows got otherwise than a step of all, or touched besides. */
export function firstUnlikeAll(result: Result, all: Result, { before }: Output, { owners }: OwnedWords, rows: number): string | undefined {
  for (const [word, owner] of owners.entries()) {
    const wanted = owner >= 0 && owner < rows ? all.bits[word] : before[word];
    if (result.bits[word] !== wanted) return `word ${word} of row ${owner}: ${result.floats[word]}`;
  }
  return undefined;
}
