import { describe, expect, test } from 'vitest';
import { parseTextRequest } from '../../../src/api/text-request.ts';
import { TabserveError } from '../../../src/core/errors.ts';

const context = { modelNames: ['m'], randomSeed: () => 77 };
const parse = (body: unknown) => parseTextRequest(body, context);

function refusal(body: unknown): { code: string; param: string | undefined; message: string } {
  try {
    parse(body);
  } catch (error) {
    if (error instanceof TabserveError) return { code: error.code, param: error.param, message: error.message };
    throw error;
  }
  throw new Error('The request was accepted.');
}

test('defaults are OpenAI\'s: 16 tokens, where a chat has all that fit', () => {
  const { echo, ...rest } = parse({ prompt: 'Once' });
  expect(rest).toEqual({
    prompts: [{ text: 'Once' }],
    generate: { maxTokens: 16, temperature: 1, seed: 77, stop: [] },
    n: 1,
    stream: false,
    includeUsage: false,
  });
  expect(echo(0)).toBe('');
});

describe('prompts', () => {
  test.each<[unknown, readonly unknown[]]>([
    ['a', [{ text: 'a' }]],
    [['a', 'b'], [{ text: 'a' }, { text: 'b' }]],
    [[5, 0, 7], [{ tokenIds: [5, 0, 7] }]],
    [[[5], [0, 7]], [{ tokenIds: [5] }, { tokenIds: [0, 7] }]],
    [['a', [7]], [{ text: 'a' }, { tokenIds: [7] }]],
  ])('%j', (prompt, expected) => {
    expect(parse({ prompt }).prompts).toEqual(expected);
  });

  test.each<[unknown]>([
    [undefined], [null], [''], [[]], [5], [{}], [['a', '']], [[[]]], [[1, 'a']], [[1.5]], [[-1]], [[NaN]], [[[1], 2]], [[['a']]],
    [[null]], [[2 ** 53]],
  ])('%j is none', (prompt) => {
    const error = refusal({ prompt });
    expect(error).toMatchObject({ code: 'invalid_request', param: 'prompt' });
    expect(error.message).toContain('"prompt');
  });

  test('a batch has at most 128 choices', () => {
    const prompts = (count: number) => Array.from({ length: count }, () => 'a');
    expect(parse({ prompt: prompts(8), n: 16 }).prompts).toHaveLength(8);
    expect(refusal({ prompt: prompts(129) })).toMatchObject({ code: 'invalid_request', param: 'prompt' });
    expect(refusal({ prompt: prompts(9), n: 16 })).toMatchObject({ code: 'invalid_request', param: 'prompt' });
  });
});

test('echo says which text each choice begins with', () => {
  const { echo } = parse({ prompt: ['a', 'b'], n: 2, echo: true });
  expect([0, 1, 2, 3].map(echo)).toEqual(['a', 'a', 'b', 'b']);
  expect(refusal({ prompt: [1], echo: true })).toMatchObject({ code: 'unsupported_parameter', param: 'echo' });
  expect(refusal({ prompt: 'a', echo: 'yes' })).toMatchObject({ code: 'invalid_request', param: 'echo' });
});

test('best_of is n', () => {
  expect(parse({ prompt: 'a', n: 3, best_of: 3 }).n).toBe(3);
  expect(refusal({ prompt: 'a', best_of: 2 })).toMatchObject({ code: 'unsupported_parameter', param: 'best_of' });
  expect(refusal({ prompt: 'a', n: 3, best_of: 1 })).toMatchObject({ code: 'unsupported_parameter', param: 'best_of' });
  expect(refusal({ prompt: 'a', best_of: 0 })).toMatchObject({ code: 'invalid_request', param: 'best_of' });
});

test.each<[string, unknown]>([
  ['max_tokens', 0], ['max_tokens', '5'], ['max_completion_tokens', 5], ['messages', []], ['temperature', 3], ['n', 17], ['stop', ''],
])('%s: %j is invalid', (param, value) => {
  expect(refusal({ prompt: 'a', [param]: value })).toMatchObject({ code: 'invalid_request', param });
});

test.each([undefined, null, 'Hi', ['Hi']])('a body that is %j', (body) => {
  expect(refusal(body)).toMatchObject({ code: 'invalid_request' });
});
