import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutIntoPieces } from '../../../src/tokenizer/pieces.ts';
import { findPreTokenizer } from '../../../src/tokenizer/pre-tokenizers.ts';
import { cutByPatterns, PATTERNS } from './pre-tokenizer-patterns.ts';

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({
    unit: fc.constantFrom(
      ' ', '\n', '\r', '\t', '\u00a0', '\u0085', '\ufeff', '\u3000', 'a', 'S', "'", "'s", "'RE", 'l', '1', '\u0663', '\u00b2', '!', '_', '\u0301', '\u{1d7d8}', '\u{1d4d0}', '\u{1f600}', '\ud800', '\udc00',
    ),
    maxLength: 30,
  }),
);

describe('pieces are those of the patterns', () => {
  test.each(Object.entries(PATTERNS))('%s', (name, patterns) => {
    const pre = findPreTokenizer(name);
    const check = fc.property(anyText, (text) => {
      expect([...cutIntoPieces(text, pre)]).toEqual(cutByPatterns(text, patterns));
    });
    fc.assert(check, { seed: 3, numRuns: 3000 });
  });
});

test.each(Object.entries(PATTERNS))('%s takes runs for which a regular expression has no room', (name) => {
  for (const unit of ['\u3042', '\u2581', ' \n', '\u{1f600}']) {
    const text = unit.repeat(2 ** 22 / unit.length);
    expect([...cutIntoPieces(text, findPreTokenizer(name))].length).toBe(1);
  }
});
