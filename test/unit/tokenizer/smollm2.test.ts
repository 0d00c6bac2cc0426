import { beforeAll, describe, expect, it } from 'vitest';
import { createTokenizer, type Tokenizer } from '../../../src/tokenizer/tokenizer.ts';
import { createRandom } from '../../support/random.ts';
import { SMOLLM2_GOLDENS } from '../../support/smollm2-goldens.ts';
import { smolLm2Metadata } from './smollm2-fixture.ts';

let tokenizer: Tokenizer;

beforeAll(async () => {
  tokenizer = createTokenizer(await smolLm2Metadata());
});

function detokenize(ids: readonly number[]): string {
  const detokenizer = tokenizer.createDetokenizer();
  return ids.map((id) => detokenizer.decode(id)).join('') + detokenizer.flush();
}

describe('SmolLM2, against llama.cpp', () => {
  it.each(SMOLLM2_GOLDENS.prompts)('gives the prompt ids of $name', ({ messages, promptTokenIds }) => {
    expect(tokenizer.encodeChat(messages)).toEqual(promptTokenIds);
  });

  it.each(SMOLLM2_GOLDENS.prompts)('gives the text of the answer to $name', ({ greedyIds, text }) => {
    // llama.cpp ends in one replacement character however many bytes of a code point have come; so does TextDecoder.
    expect(detokenize(greedyIds)).toBe(text);
  });

  it('takes 37 tokens for the question about France', () => {
    expect(tokenizer.encodeChat([{ role: 'user', content: 'What is the capital of France?' }])).toHaveLength(37);
  });

  it('ends answers at <|im_end|>, <|endoftext|> and, as llama.cpp does, <reponame>', () => {
    expect([...tokenizer.stopTokenIds].sort()).toEqual([0, 2, 4]);
    expect(tokenizer.vocabSize).toBe(49152);
  });
});

describe('SmolLM2, text to ids and back', () => {
  it('loses nothing of random text', () => {
    const random = createRandom(1);
    // The ranges that its vocabulary has bytes for: it lacks some control characters and the planes from 4 on.
    const ranges = [
      [0x20, 0x7e],
      [0xa0, 0x24f],
      [0x370, 0x5ff],
      [0x900, 0x97f],
      [0x4e00, 0x9fff],
      [0x1f300, 0x1faff],
      [0xe000, 0xe0ff],
    ];
    for (let trial = 0; trial < 200; trial++) {
      const text = Array.from({ length: random.below(60) }, () => {
        const [low = 0, high = 0] = ranges[random.below(ranges.length)] ?? [];
        return random.below(4) === 0
          ? ' \n'.charAt(random.below(2))
          : String.fromCodePoint(low + random.below(high - low + 1));
      }).join('');
      expect(detokenize(tokenizer.encode(text))).toBe(text);
    }
  });

  it.each([
    '👩‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿 naïve',
    '你好，世界！这是一个测试。',
    '\uFEFFa\r\n\t\u00a0\u3000b\u0085c',
    '<|im_end|><|im_start|>',
    '',
  ])('loses nothing of %j', (text) => {
    expect(detokenize(tokenizer.encode(text))).toBe(text);
  });

  it('splits numbers into digits', () => {
    expect(tokenizer.encode('12345')).toHaveLength(5);
    expect(tokenizer.encode('٣٤')).toEqual([...tokenizer.encode('٣'), ...tokenizer.encode('٤')]);
  });

  it('takes a token as text wherever a person has written it', () => {
    for (const id of tokenizer.encode('<|im_start|>user<|endoftext|><|im_end|>')) expect(id).toBeGreaterThan(16);
  });
});
