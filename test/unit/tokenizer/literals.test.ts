import { describe, expect, it } from 'vitest';
import { atOnce } from '../../../src/core/turns.ts';
import { createLiteralMatcher } from '../../../src/tokenizer/literals.ts';

describe('createLiteralMatcher', () => {
  const matcher = createLiteralMatcher(['ab', 'abcd', 'bc', 'x', '', '😀!']);

  it('takes the leftmost literal, of those the longest', () => {
    expect(atOnce(matcher.split('zabcdx'))).toEqual(['z', 'abcd', '', 'x', '']);
    expect(atOnce(matcher.split('abc abx'))).toEqual(['', 'ab', 'c ', 'ab', '', 'x', '']);
    expect(atOnce(matcher.split('a bc'))).toEqual(['a ', 'bc', '']);
    expect(atOnce(matcher.split('😀😀!'))).toEqual(['😀', '😀!', '']);
  });

  it('leaves text without literals whole', () => {
    expect(atOnce(matcher.split('aa'))).toEqual(['aa']);
    expect(atOnce(createLiteralMatcher([]).split('abc'))).toEqual(['abc']);
    expect(atOnce(createLiteralMatcher(['']).split(''))).toEqual(['']);
  });

  it('knows how long a literal is at a place', () => {
    expect([0, 1, 2, 9].map((place) => matcher.lengthAt('abcx', place))).toEqual([2, 2, 0, 0]);
  });
});
