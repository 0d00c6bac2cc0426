import type { Task } from '../core/cooperative-task.ts';
import { encodeAround } from './literals.ts';
import { createMerger, type MergeTable } from './merge.ts';
import { byteValue, type Encode, literalIds, textIds, type Vocabulary } from './vocabulary.ts';

/** The character that represents a space in SentencePiece's tokens (U+2581). */
export const SPACE_CHARACTER = '\u2581';

const utf8 = new TextEncoder();
/** Tokens, or characters of a text, read between two yields. */
const RUN = 4096;

/**
 * Text to token ids by a SentencePiece BPE vocabulary, as in llama.cpp; control tokens are never recognised. A
 * character without a token becomes its bytes' tokens, or the unknown token where the vocabulary has no such bytes.
 *
 * @param addSpacePrefix whether a space is put before the text, and after each literal token
 */
export function* createSentencePieceEncoder(
  vocabulary: Vocabulary,
  addSpacePrefix: boolean,
): Task<Encode> {
  const ids = yield* textIds(vocabulary);
  const merges = yield* rankByScore(vocabulary);
  const byteIds = readByteIds(vocabulary);
  const isOneWord = yield* mergesAcrossWords(vocabulary);

  const fallBack = (character: string): readonly number[] => {
    const found = Array.from(utf8.encode(character), (byte) => byteIds[byte] ?? -1);
    if (!found.includes(-1)) return found;
    return vocabulary.unknownTokenId === undefined ? [] : [vocabulary.unknownTokenId];
  };
  function* encodeWord(word: string, out: number[]): Task<void> {
    const characters: string[] = [];
    const first = new Int32Array(word.length);
    for (const character of word) {
      // A character without a token has the id `-1 - place`: it may be part of one.
      first[characters.length] = ids.get(character) ?? -1 - characters.length;
      if (characters.push(character) % RUN === 0) yield;
    }
    const textOf = (id: number): string | undefined => (id < 0 ? characters[-1 - id] : vocabulary.tokens[id]);
    const find = (left: number, right: number): number => ids.get(`${textOf(left)}${textOf(right)}`) ?? -1;
    yield* createMerger({ find, ...merges })(first.subarray(0, characters.length), (id, place) => {
      if (id >= 0) out.push(id);
      else out.push(...fallBack(characters[place] ?? ''));
    });
  }

  function* wordsOf(section: string): Task<Iterable<string>> {
    let spaced = addSpacePrefix && section !== '' ? SPACE_CHARACTER : '';
    for (let start = 0; start < section.length; start += RUN) {
      if (start > 0) yield;
      spaced += section.slice(start, start + RUN).replaceAll(' ', SPACE_CHARACTER);
    }
    return isOneWord ? [spaced].filter((word) => word !== '') : cutIntoWords(spaced);
  }
  return encodeAround(literalIds(vocabulary), wordsOf, encodeWord);
}

/** Spaces and the characters after them, up to the next space. */
function* cutIntoWords(text: string): Generator<string, void, undefined> {
  for (let place = 0; place < text.length;) {
    let start = place;
    while (text.charCodeAt(start) === 0x2581) start++;
    const next = start < text.length ? text.indexOf(SPACE_CHARACTER, start) : -1;
    const end = next < 0 ? text.length : next;
    yield text.slice(place, end);
    place = end;
  }
}

/**
 * Whether a token has a space after another character. If none has, no merge ever crosses from one word to the next.
 */
function* mergesAcrossWords({ tokens, kinds }: Vocabulary): Task<boolean> {
  for (const [id, token] of tokens.entries()) {
    if (kinds[id] === 'text' && token.lastIndexOf(SPACE_CHARACTER) > 0 && /[^\u2581]\u2581/u.test(token)) return true;
    if (id % RUN === 0) yield;
  }
  return false;
}

function readByteIds({ tokens, kinds }: Vocabulary): Int32Array {
  const byteIds = new Int32Array(256).fill(-1);
  tokens.forEach((token, id) => {
    const byte = kinds[id] === 'byte' ? byteValue(token) : undefined;
    if (byte !== undefined) byteIds[byte] = id;
  });
  return byteIds;
}

/**
 * The merges that the scores imply: any two tokens that together spell a third, the one of the highest score first.
 * They are looked up when needed, since a vocabulary has many more of them than a text takes. A merge is identified by
 * its token.
 */
function* rankByScore({ tokens, scores }: Vocabulary): Task<Omit<MergeTable, 'find'>> {
  const ascending = Float64Array.from(scores).sort();
  yield;
  const ranks = new Int32Array(tokens.length);
  const results = new Int32Array(tokens.length);
  for (let id = 0; id < tokens.length; id++) {
    ranks[id] = tokens.length - countAtMost(ascending, scores[id] ?? 0);
    results[id] = id;
    if (id % RUN === 0) yield;
  }
  return { ranks, results };
}

/** The number of elements, in ascending order, that are at most `limit`. */
function countAtMost(ascending: Float64Array, limit: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] ?? 0) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
