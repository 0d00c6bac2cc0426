import type { Task } from '../core/cooperative-task.ts';
import { BYTE_CHARACTERS } from './byte-level.ts';
import { encodeAround } from './literals.ts';
import { composed } from './composed.ts';
import { createMerger, type MergeTable } from './merge.ts';
import { cutIntoPieces } from './pieces.ts';
import type { PreTokenizer } from './pre-tokenizers.ts';
import { type Encode, literalIds, MAX_TOKEN_LENGTH, textIds, type Vocabulary } from './vocabulary.ts';

const utf8 = new TextEncoder();

/**
 * Text to token ids by byte-level BPE; control tokens are never recognised. A byte without a token is left out, as in
 * llama.cpp (SmolLM2 lacks a few control characters).
 */
export function* createBpeEncoder(vocabulary: Vocabulary, pre: PreTokenizer): Task<Encode> {
  const ids = yield* textIds(vocabulary);
  const byteIds = Int32Array.from(BYTE_CHARACTERS, (character) => ids.get(character) ?? -1);
  const merge = createMerger(yield* readMerges(vocabulary, ids));

  function* encodePiece(piece: string, out: number[]): Task<void> {
    const bytes = utf8.encode(piece);
    // Longer than any token.
    const isShort = pre.ignoreMerges && bytes.length <= MAX_TOKEN_LENGTH;
    const whole = isShort ? ids.get(Array.from(bytes, (byte) => BYTE_CHARACTERS[byte]).join('')) : undefined;
    if (whole !== undefined) return void out.push(whole);
    const first = new Int32Array(bytes.length);
    for (let place = 0; place < bytes.length; place++) {
      first[place] = byteIds[bytes[place] ?? 0] ?? -1;
      if ((place + 1) % RUN === 0) yield;
    }
    yield* merge(first, (id) => {
      if (id >= 0) out.push(id);
    });
  }

  function* piecesOf(section: string): Task<Iterable<string>> {
    return cutIntoPieces(pre.normalizer === undefined ? section : yield* composed(section), pre);
  }
  return encodeAround(literalIds(vocabulary), piecesOf, encodePiece);
}

/** A merge is stored with its left token, as `right * RANKS + rank`. */
const RANKS = 2 ** 22;
/** Merges, or bytes of a text, read between two yields. */
const RUN = 4096;

/**
 * A file's merges, "left right", best first. A merge whose parts or result are not tokens never applies. Lookups are
 * binary searches in arrays, so no file can make them, or reading it, slow.
 */
function* readMerges({ merges, tokens }: Vocabulary, ids: ReadonlyMap<string, number>): Task<MergeTable> {
  const lefts = new Int32Array(merges.length).fill(-1);
  const rights = new Int32Array(merges.length);
  const results = new Int32Array(merges.length);
  const starts = new Int32Array(tokens.length + 1);
  const ranks = new Int32Array(merges.length);
  for (const [rank, merge] of merges.entries()) {
    if (rank % RUN === 0) yield;
    ranks[rank] = rank;
    const space = merge.indexOf(' ', 1);
    const left = ids.get(merge.slice(0, space));
    const right = ids.get(merge.slice(space + 1));
    const result = ids.get(merge.slice(0, space) + merge.slice(space + 1));
    if (space < 0 || left === undefined || right === undefined || result === undefined) continue;
    lefts[rank] = left;
    rights[rank] = right;
    results[rank] = result;
    starts[left + 1] = (starts[left + 1] ?? 0) + 1;
  }
  for (let id = 0; id < tokens.length; id++) starts[id + 1] = (starts[id + 1] ?? 0) + (starts[id] ?? 0);
  const entries = new Float64Array(starts[tokens.length] ?? 0);
  const filled = starts.slice();
  lefts.forEach((left, rank) => {
    if (left < 0) return;
    const at = filled[left] ?? 0;
    entries[at] = (rights[rank] ?? 0) * RANKS + rank;
    filled[left] = at + 1;
  });
  for (let id = 0; id < tokens.length; id++) {
    const [start = 0, end = 0] = [starts[id], starts[id + 1]];
    if (end - start > 1) entries.subarray(start, end).sort();
    if (id % RUN === 0) yield;
  }
  const find = (left: number, right: number): number =>
    left < 0 || right < 0 ? -1 : findRank(entries, starts[left] ?? 0, starts[left + 1] ?? 0, right);
  return { find, ranks, results };
}

/** The rank of the first entry for `right` from `start` to `end`; -1 where there is none. */
function findRank(entries: Float64Array, start: number, end: number, right: number): number {
  const wanted = right * RANKS;
  let [low, high] = [start, end];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((entries[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  const rank = low < end ? (entries[low] ?? Infinity) - wanted : RANKS;
  return rank < RANKS ? rank : -1;
}
