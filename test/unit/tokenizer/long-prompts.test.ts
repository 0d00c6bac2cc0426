import { describe, expect, it, vi } from 'vitest';
import { runSync, type Task } from '../../../src/core/cooperative-task.ts';
import { createTokenizer, type Tokenizer } from '../../../src/tokenizer/tokenizer.ts';
import { tinyTokenizer } from '../../support/tiny-tokenizer.ts';

const BPE = Object.fromEntries(Object.entries(tinyTokenizer(400)).map(([key, { value }]) => [key, value]));
const spm = (...tokens: readonly string[]): Tokenizer =>
  createTokenizer({
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': ['<unk>', '<s>', '</s>', ...tokens],
    'tokenizer.ggml.scores': [0, 0, 0, ...tokens.map((_, i) => -i)],
    'tokenizer.ggml.token_type': [2, 3, 3, ...tokens.map(() => 1)],
    'tokenizer.ggml.bos_token_id': 1,
    'tokenizer.chat_template': '{% for m in messages %}{{ m.content }}{% endfor %}',
  });
const TOKENIZERS: readonly [string, Tokenizer][] = [
  ...['smollm', 'gpt-2', 'qwen2', 'llama-bpe'].map((pre): [string, Tokenizer] => [pre, createTokenizer({ ...BPE, 'tokenizer.ggml.pre': pre })]),
  ['SentencePiece, words apart', spm('a', 'b', '\u2581', '\u2581a', 'ab')],
  ['SentencePiece, across words', spm('a', 'b', '\u2581', 'a\u2581', 'ab')],
];
const UNITS = ['a', ' ', 'ab ', '\u3042', '1', '\u{1f600}'];

/** The characters and tokens that each step of the task looks up. */
function stepsOf(task: Task<number[]>): { readonly ids: readonly number[]; readonly lookups: readonly number[] } {
  const get = vi.spyOn(Map.prototype, 'get');
  const lookups: number[] = [];
  try {
    for (;;) {
      get.mockClear();
      const step = task.next();
      lookups.push(get.mock.calls.length);
      if (step.done === true) return { ids: step.value, lookups };
    }
  } finally {
    get.mockRestore();
  }
}

describe.each(TOKENIZERS)('a long prompt of %s', (_name, tokenizer) => {
  const LENGTH = 2 ** 14;

  it.each(UNITS)('of %j is encoded in steps that each look at little of it', (unit) => {
    const text = unit.repeat(LENGTH / unit.length);
    const { ids, lookups } = stepsOf(tokenizer.chatTask([{ role: 'user', content: text }]));
    expect(ids.length).toBeGreaterThan(LENGTH / 300);
    expect(lookups.length).toBeGreaterThanOrEqual(LENGTH / 4096);
    expect(Math.max(...lookups)).toBeLessThanOrEqual(2.5 * 4096);
  });

  it('does not mind another one between its steps', () => {
    const texts = ['ab a'.repeat(1500), 'b ba\u3042'.repeat(1500)];
    const tasks = texts.map((text) => tokenizer.promptTask(text));
    const results: (number[] | undefined)[] = [undefined, undefined];
    while (results.includes(undefined)) {
      tasks.forEach((task, i) => {
        const step = task.next();
        if (step.done === true && results[i] === undefined) results[i] = step.value;
      });
    }
    expect(results).toEqual(texts.map((text) => runSync(tokenizer.promptTask(text))));
  });
});

describe('a prompt of as many characters as may be', () => {
  const small = createTokenizer({ ...BPE, 'general.architecture': 'llama', 'llama.context_length': 2 ** 18 });

  it.each(['\u3042 ', 'a ', '\ue000 '])('of %j is refused for its length, not by what runs out of room', (unit) => {
    const content = unit.repeat(2 ** 21);
    const refused = expect.objectContaining({ code: 'context_length_exceeded', param: 'messages' }) as Error;
    expect(() => small.encodeChat([{ role: 'user', content }])).toThrow(refused);
  });

  it('for which there is no memory is refused as well', () => {
    const encode = vi.spyOn(TextEncoder.prototype, 'encode').mockImplementation(() => {
      throw new RangeError('Array buffer allocation failed');
    });
    const refused = expect.objectContaining({ code: 'context_length_exceeded', param: 'prompt' }) as Error;
    expect(() => small.encodePrompt('x'.repeat(99))).toThrow(refused);
    encode.mockRestore();
  });

  it('one more is refused before anything is done', () => {
    const task = small.chatTask([{ role: 'user', content: 'a'.repeat(2 ** 22 + 1) }]);
    expect(() => task.next()).toThrow(expect.objectContaining({ code: 'context_length_exceeded' }) as Error);
  });
});
