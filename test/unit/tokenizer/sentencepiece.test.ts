import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Metadata } from '../../../src/tokenizer/metadata.ts';
import { createTokenizer, type Tokenizer } from '../../../src/tokenizer/tokenizer.ts';
import { decode } from './vocabulary-fixture.ts';

const [NORMAL, UNKNOWN, CONTROL, LITERAL, UNUSED, BYTE] = [1, 2, 3, 4, 5, 6] as const;

/** A vocabulary of `<unk>` and these tokens, each with its score and kind. */
function metadata(tokens: readonly (readonly [token: string, score?: number, type?: number])[], more: Metadata = {}): Metadata {
  const all = [['<unk>', 0, UNKNOWN] as const, ...tokens];
  return {
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': all.map(([token]) => token),
    'tokenizer.ggml.scores': all.map(([, score = 0]) => score),
    'tokenizer.ggml.token_type': all.map(([, , type = NORMAL]) => type),
    'tokenizer.ggml.unknown_token_id': 0,
    'tokenizer.ggml.add_space_prefix': false,
    ...more,
  };
}

const shown = (tokenizer: Tokenizer, text: string): readonly number[] => tokenizer.encode(text);

describe('SentencePiece', () => {
  it('merges the highest score first, of equals the leftmost', () => {
    const tokenizer = createTokenizer(metadata([['a'], ['b'], ['c'], ['ab', -1], ['bc', -2], ['aa', -3]]));
    expect(shown(tokenizer, 'abc')).toEqual([4, 3]);
    expect(shown(tokenizer, 'aaa')).toEqual([6, 1]);
    const other = createTokenizer(metadata([['a'], ['b'], ['c'], ['ab', -2], ['bc', -1]]));
    expect(shown(other, 'abc')).toEqual([1, 5]);
  });

  it('spells what it has no token for in bytes, else calls it unknown', () => {
    const emoji = [...new TextEncoder().encode('😀')].map((byte) => [`<0x${byte.toString(16).toUpperCase()}>`, 0, BYTE] as const);
    const tokenizer = createTokenizer(metadata([['a'], ...emoji]));
    expect(shown(tokenizer, 'a😀')).toEqual([1, 2, 3, 4, 5]);
    expect(decode(tokenizer, [1, 2, 3, 4, 5, 1])).toBe('a😀a');
    expect(shown(tokenizer, 'aé')).toEqual([1, 0]);
    const { 'tokenizer.ggml.unknown_token_id': _, ...nameless } = metadata([['a']]);
    expect(shown(createTokenizer(nameless), 'aéa')).toEqual([1, 0, 1]);
    const without = { ...nameless, 'tokenizer.ggml.tokens': ['<none>', 'a'] };
    expect(shown(createTokenizer(without), 'aéa')).toEqual([1, 1]);
  });

  it('makes no control, byte or unused token of text', () => {
    const tokens = [['<'], ['s'], ['>'], ['<s'], ['<s>', 0, CONTROL], ['s>', 0, UNUSED], ['<0x41>', 0, BYTE]] as const;
    const tokenizer = createTokenizer(metadata(tokens));
    expect(shown(tokenizer, '<s>')).toEqual([4, 3]);
    expect(shown(tokenizer, 'A')).toEqual([7]);
    expect(decode(tokenizer, [5, 7, 6, 0])).toBe('A');
  });

  it('puts a space before a text and behind a literal, and strips the first again', () => {
    const tokens = [['\u2581'], ['a'], ['\u2581a', -1], ['<lit>', 0, LITERAL]] as const;
    const tokenizer = createTokenizer(metadata(tokens, { 'tokenizer.ggml.add_space_prefix': true }));
    expect(shown(tokenizer, 'a a<lit>a')).toEqual([3, 3, 4, 3]);
    expect(decode(tokenizer, [3, 3, 4, 3])).toBe('a a<lit> a');
    expect(shown(tokenizer, '')).toEqual([]);
  });

  it('gives what merging the text as a whole gives, whatever the vocabulary', () => {
    const anyToken = fc.string({ unit: fc.constantFrom('a', 'b', '\u2581'), minLength: 1, maxLength: 4 });
    const anyVocabulary = fc.uniqueArray(fc.tuple(anyToken, fc.integer({ min: -4, max: 0 })), { selector: ([token]) => token, maxLength: 20 });
    const anyText = fc.string({ unit: fc.constantFrom('a', 'b', ' '), maxLength: 30 });
    fc.assert(
      fc.property(anyVocabulary, anyText, (tokens, text) => {
        const vocabulary = new Map(tokens);
        const tokenizer = createTokenizer(metadata(tokens));
        const names = ['<unk>', ...tokens.map(([token]) => token)];
        const expected = mergeWhole(text.replaceAll(' ', '\u2581'), vocabulary).map((token) => Math.max(0, names.indexOf(token)));
        expect(tokenizer.encode(text)).toEqual(expected);
      }),
      { seed: 11, numRuns: 2000 },
    );
  });
});

/** The definition: of all neighbours that spell a token, those of the highest score merge, of equals the leftmost. */
function mergeWhole(text: string, scores: ReadonlyMap<string, number>): readonly string[] {
  const pieces = [...text];
  for (;;) {
    let best = -1;
    const scoreAt = (i: number): number => (i < 0 ? -Infinity : (scores.get(`${pieces[i]}${pieces[i + 1]}`) ?? -Infinity));
    for (let i = 0; i + 1 < pieces.length; i++) if (scoreAt(i) > scoreAt(best)) best = i;
    if (best < 0) return pieces;
    pieces.splice(best, 2, `${pieces[best]}${pieces[best + 1]}`);
  }
}
