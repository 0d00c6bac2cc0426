import { describe, expect, it } from 'vitest';
import { runSync } from '../../../src/core/cooperative-task.ts';
import { createLiteralMatcher } from '../../../src/tokenizer/literals.ts';

describe('createLiteralMatcher', () => {
  const matcher = createLiteralMatcher(['ab', 'abcd', 'bc', 'x', '', '😀!']);

  it('takes the leftmost literal, of those the longest', () => {
    expect(runSync(matcher.split('zabcdx'))).toEqual(['z', 'abcd', '', 'x', '']);
    expect(runSync(matcher.split('abc abx'))).toEqual(['', 'ab', 'c ', 'ab', '', 'x', '']);
    expect(runSync(matcher.split('a bc'))).toEqual(['a ', 'bc', '']);
    expect(runSync(matcher.split('😀😀!'))).toEqual(['😀', '😀!', '']);
  });

  it('leaves text without literals whole', () => {
    expect(runSync(matcher.split('aa'))).toEqual(['aa']);
    expect(runSync(createLiteralMatcher([]).split('abc'))).toEqual(['abc']);
    expect(runSync(createLiteralMatcher(['']).split(''))).toEqual(['']);
  });

  it('knows how long a literal is at a place', () => {
    expect([0, 1, 2, 9].map((place) => matcher.lengthAt('abcx', place))).toEqual([2, 2, 0, 0]);
  });
});
