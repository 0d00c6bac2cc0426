import { TabserveError } from '../core/errors.ts';

/** How a family of byte-level BPE tokenizers cuts text into the pieces that BPE then works on. */
export interface PreTokenizer {
  /** Unicode regular expressions applied in turn, each to the pieces that the one before left. */
  readonly splits: readonly string[];
  readonly normalizer: 'NFC' | undefined;
  /** A piece that is a token as it stands is taken whole, whatever the merges would give. */
  readonly ignoreMerges: boolean;
  /** Whether a prompt begins with the BOS token where the file does not say. */
  readonly addBos: boolean;
}

/** `\s` and `\S` as other regular expressions have them: JavaScript's count U+FEFF as white space and U+0085 not. */
const unicodeSpaces = (pattern: string): string =>
  pattern.replaceAll('\\s', '\\p{White_Space}').replaceAll('\\S', '\\P{White_Space}');

const GPT2 = unicodeSpaces("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+");

/** The pattern that Llama 3 and Qwen 2 share but for how many digits stay together. */
const cl100k = (digits: string): string =>
  unicodeSpaces(
    `'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}` +
      '| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  );

const PLAIN = { normalizer: undefined, ignoreMerges: false, addBos: false } as const;
const STARCODER: PreTokenizer = { ...PLAIN, splits: ['\\p{N}', GPT2] };
const LLAMA3: PreTokenizer = { ...PLAIN, splits: [cl100k('\\p{N}{1,3}')], ignoreMerges: true, addBos: true };
const QWEN2: PreTokenizer = { ...PLAIN, splits: [cl100k('\\p{N}')], normalizer: 'NFC' };

/**
 * By the file's `tokenizer.ggml.pre`. The patterns are the ones in the families' own tokenizer.json files; names that
 * llama.cpp takes for the same tokenizer stand together.
 */
const PRE_TOKENIZERS: ReadonlyMap<string, PreTokenizer> = new Map([
  ['smollm', STARCODER],
  ['starcoder', STARCODER],
  ['gpt-2', { ...PLAIN, splits: [GPT2] }],
  ['phi-2', { ...PLAIN, splits: [GPT2] }],
  ['llama-bpe', LLAMA3],
  ['llama-v3', LLAMA3],
  ['llama3', LLAMA3],
  ['qwen2', QWEN2],
  ['deepseek-r1-qwen', { ...QWEN2, normalizer: undefined }],
]);

/** @throws TabserveError `unsupported_model` naming the kind */
export function findPreTokenizer(name: string | undefined): PreTokenizer {
  const found = name === undefined ? undefined : PRE_TOKENIZERS.get(name);
  if (found !== undefined) return found;
  throw new TabserveError(
    'unsupported_model',
    `The model's pre-tokenizer ${name === undefined ? 'is not named in its file' : `"${name.slice(0, 64)}" is not supported`}; ` +
      `supported are ${[...PRE_TOKENIZERS.keys()].join(', ')}.`,
  );
}
