import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findPreTokenizer } from '../../../src/tokenizer/pre-tokenizers.ts';
import { createTokenizer } from '../../../src/tokenizer/tokenizer.ts';
import { PATTERNS } from './pre-tokenizer-patterns.ts';
import { fixtureMetadata } from './vocabulary-fixture.ts';

/** The families' own implementation, of the same vocabulary: an oracle that knows nothing of ours. */
async function libraryOf(name: 'gpt-2' | 'qwen', pre: keyof typeof PATTERNS): Promise<(text: string) => number[]> {
  const metadata = await fixtureMetadata(name);
  const tokens = metadata['tokenizer.ggml.tokens'] as readonly string[];
  const types = metadata['tokenizer.ggml.token_type'] as ArrayLike<number>;
  const vocab = Object.fromEntries(tokens.flatMap((token, id) => (types[id] === 1 ? [[token, id]] : [])));
  const { normalizer, ignoreMerges } = findPreTokenizer(pre);
  const pretokenizers = [
    ...PATTERNS[pre].map((Regex) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false })),
    { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
  ];
  const library = new LibraryTokenizer(
    {
      added_tokens: [],
      normalizer: normalizer === undefined ? null : { type: normalizer },
      pre_tokenizer: { type: 'Sequence', pretokenizers },
      post_processor: null,
      decoder: null,
      model: { type: 'BPE', vocab, merges: metadata['tokenizer.ggml.merges'], ignore_merges: ignoreMerges },
    },
    {},
  );
  return (text) => library.encode(text, { add_special_tokens: false }).ids;
}

/** Unicode of all kinds, words that occur and runs of what does not. */
const texts = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.array(fc.constantFrom('the', ' cat', ' sat', "'s", '\n', '  ', '12', '345', 'ß', '日本', '!?', ' Über', '\t'), { maxLength: 40 }).map((parts) => parts.join('')),
  fc.tuple(fc.constantFrom('a', ' ', '1', '\n', '-', 'é', '😀'), fc.integer({ min: 1, max: 200 })).map(([unit, count]) => unit.repeat(count)),
);

describe('ids are those of the library', () => {
  test.each([
    ['gpt-2', 'gpt-2'],
    ['gpt-2', 'smollm'],
    ['qwen', 'qwen2'],
    ['qwen', 'llama-bpe'],
  ] as const)('the vocabulary of %s, cut as %s', async (name, pre) => {
    const theirs = await libraryOf(name, pre);
    const ours = createTokenizer({ ...(await fixtureMetadata(name)), 'tokenizer.ggml.pre': pre });
    // Added tokens are matched in ours only.
    const isPlain = (text: string): boolean => !text.includes('<');
    fc.assert(
      fc.property(texts.filter(isPlain), (text) => {
        expect(ours.encode(text)).toEqual(theirs(text));
      }),
      { numRuns: 300, seed: 7 },
    );
  });
});
