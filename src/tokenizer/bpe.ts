import { Tokenizer as BpeTokenizer } from '@huggingface/tokenizers';
import type { PreTokenizer } from './pre-tokenizers.ts';
import type { Vocabulary } from './vocabulary.ts';

/**
 * Text to token ids by byte-level BPE; no control token is ever recognised. A byte that the vocabulary has no token for
 * is left out, as llama.cpp does (SmolLM2 lacks a few control characters).
 */
export function createBpeEncoder(vocabulary: Vocabulary, pre: PreTokenizer): (text: string) => number[] {
  const { tokens, kinds, merges } = vocabulary;
  // Without a prototype, so that a token named like one of Object's members is a token like any other.
  const vocab: Record<string, number> = Object.create(null) as Record<string, number>;
  tokens.forEach((token, id) => {
    if (kinds[id] === 'text') vocab[token] ??= id;
  });
  const literals = tokens.flatMap((content, id) => (kinds[id] === 'literal' ? [{ content, id }] : []));
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };
  const splits = pre.splits.map((Regex) => ({
    type: 'Split',
    pattern: { Regex },
    behavior: 'Isolated',
    invert: false,
  }));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
  const tokenizer = new BpeTokenizer(
    {
      added_tokens: literals.map((literal) => ({ ...literal, ...flags })),
      normalizer: pre.normalizer === undefined ? null : { type: pre.normalizer },
      pre_tokenizer: { type: 'Sequence', pretokenizers: [...splits, byteLevel] },
      post_processor: null,
      decoder: null,
      model: { type: 'BPE', vocab, merges, ignore_merges: pre.ignoreMerges },
    },
    {},
  );
  return (text) => (text === '' ? [] : tokenizer.encode(text, { add_special_tokens: false }).ids);
}
