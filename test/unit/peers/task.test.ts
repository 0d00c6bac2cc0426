import { describe, expect, test } from 'vitest';
import { faultOf, leadingAgreement } from '../../peers/task.mjs';

const EXPECTED = { ids: [5, 6, 7], texts: ['On', 'Once', 'Once upon'] };
const answer = { ttftMs: 10, lastMs: 30, promptTokens: 4, outputTokens: 3, text: 'Once upon' };
const task = { name: 'story', messages: [], promptText: '', promptTokenIds: [1, 2, 3, 4], maxTokens: 3 };

describe('leading tokens that are as expected', () => {
  test.each([
    ['all', 'Once upon a time', 3],
    ['two, and then another word', 'Once more', 2],
    ['one', 'Only', 1],
    ['none', 'A', 0],
    ['none of no text', '', 0],
  ])('by text: %s', (_, text, count) => {
    expect(leadingAgreement({ text }, EXPECTED)).toBe(count);
  });

  test('by ids where there are some, whatever the text is', () => {
    expect(leadingAgreement({ text: '', tokenIds: [5, 6, 7, 8] }, EXPECTED)).toBe(3);
    expect(leadingAgreement({ text: 'Once upon', tokenIds: [5, 9, 7] }, EXPECTED)).toBe(1);
  });
});

describe('an answer is at fault', () => {
  test('not for its words', () => {
    expect(faultOf({ ...answer, text: 'something else' }, task)).toBeUndefined();
  });

  test.each([
    [{ outputTokens: 2 }, 'gave 2 tokens, not the 3'],
    [{ outputTokens: 0 }, 'gave 0 tokens'],
    [{ promptTokens: 5 }, 'read 5 prompt tokens, not 4'],
    [{ lastMs: 10 }, 'at once'],
  ])('for %o', (change, fault) => {
    expect(faultOf({ ...answer, ...change }, task)).toContain(fault);
  });
});
