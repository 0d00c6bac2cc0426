import { describe, expect, it } from 'vitest';
import { BYTE_CHARACTERS } from '../../../src/tokenizer/byte-level.ts';
import { createDetokenizer, createTokenByteTable } from '../../../src/tokenizer/detokenizer.ts';
import type { TokenKind, Vocabulary } from '../../../src/tokenizer/vocabulary.ts';
import { createRandom } from '../../support/random.ts';

/** Ids 0-255 are the bytes. */
const EXTRA: readonly (readonly [string, TokenKind])[] = [
  ['<|im_end|>', 'control'],
  ['<think>é', 'literal'],
  ['<pad>', 'unused'],
  ['日', 'text'],
];
const [CONTROL, LITERAL, UNUSED, FOREIGN] = [256, 257, 258, 259] as const;
const vocabulary: Vocabulary = {
  algorithm: 'bpe',
  tokens: [...BYTE_CHARACTERS, ...EXTRA.map(([token]) => token)],
  kinds: [...BYTE_CHARACTERS.map((): TokenKind => 'text'), ...EXTRA.map(([, kind]) => kind)],
  merges: ['a b'],
  scores: [],
  bosTokenId: undefined,
  eosTokenId: undefined,
  unknownTokenId: undefined,
  stopTokenIds: [],
};
const bytesOf = createTokenByteTable(vocabulary);

function textsOf(ids: readonly number[]): readonly string[] {
  const detokenizer = createDetokenizer(bytesOf);
  return [...ids.map((id) => detokenizer.decode(id)), detokenizer.flush()];
}

describe('createDetokenizer', () => {
  it('keeps bytes until a code point is complete', () => {
    expect(textsOf([...new TextEncoder().encode('é🙂a')])).toEqual(['', 'é', '', '', '', '🙂', 'a', '']);
  });

  it('gives the same text as decoding all bytes at once, for any bytes', () => {
    const random = createRandom(3);
    for (let trial = 0; trial < 500; trial++) {
      const ids = Array.from({ length: random.below(30) }, () => (random.below(3) === 0 ? 0x41 : random.below(256)));
      expect(textsOf(ids).join('')).toBe(new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(ids)));
    }
  });

  it('shows what cannot become a code point at once, and an unfinished one at the end', () => {
    expect(textsOf([0xff, 0x41])).toEqual(['\ufffd', 'A', '']);
    expect(textsOf([0xf0, 0x9f])).toEqual(['', '', '\ufffd']);
  });

  it('gives no text for control and unused tokens and ids outside the vocabulary', () => {
    expect(textsOf([0x41, CONTROL, UNUSED, 100_000, 0x42])).toEqual(['A', '', '', '', 'B', '']);
    expect(textsOf([0xc3, CONTROL, 0xa9])).toEqual(['', '', 'é', '']);
  });

  it('gives added tokens and characters outside the byte alphabet as they are', () => {
    expect(textsOf([LITERAL, FOREIGN])).toEqual(['<think>é', '日', '']);
  });

  it('keeps a byte order mark', () => {
    expect(textsOf([0xef, 0xbb, 0xbf]).join('')).toBe('\ufeff');
  });
});
