import { TabserveError } from '../core/errors.ts';
import { readInteger, readIntegers, readString, readStrings, type Metadata } from './metadata.ts';

/**
 * `text`: part of the text, in byte-level characters. `literal`: an added token that is ordinary text and matched
 * whole. `control`: structure, never text. `unused`: a place kept free.
 */
export type TokenKind = 'text' | 'literal' | 'control' | 'unused';

/** The tokens of a byte-level BPE model, by id. */
export interface Vocabulary {
  readonly tokens: readonly string[];
  readonly kinds: readonly TokenKind[];
  /** Pairs, best first, each "left right". */
  readonly merges: readonly string[];
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  /** Tokens that end an answer. */
  readonly stopTokenIds: readonly number[];
}

/** GGUF's `tokenizer.ggml.token_type` (llama.h's llama_token_type). */
const KIND_OF_TYPE: ReadonlyMap<number, TokenKind> = new Map([
  [1, 'text'],
  [2, 'control'], // unknown
  [3, 'control'],
  [4, 'literal'],
  [5, 'unused'],
  [6, 'text'], // byte
]);

/** Control tokens that end a turn or a text in some model family, wherever a file's metadata forgets to say so. */
const STOP_TOKENS: ReadonlySet<string> = new Set([
  '<|im_end|>',
  '<|endoftext|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<|end_of_text|>',
  '<|end|>',
  '<end_of_turn>',
  '</s>',
  '<EOT>',
  '<|return|>',
  '<|call|>',
]);

/**
 * @throws TabserveError `unsupported_model` where the tokenizer is of another kind, `corrupt_model` where its parts
 * contradict each other
 */
export function readVocabulary(metadata: Metadata): Vocabulary {
  const model = readString(metadata, 'tokenizer.ggml.model');
  if (model !== 'gpt2') {
    const what =
      model === undefined ? 'The model file holds no tokenizer' : `The tokenizer kind "${model}" is not supported`;
    throw new TabserveError('unsupported_model', `${what}; supported is byte-level BPE ("gpt2").`);
  }
  const tokens = readStrings(metadata, 'tokenizer.ggml.tokens') ?? [];
  const merges = readStrings(metadata, 'tokenizer.ggml.merges') ?? [];
  const types = readIntegers(metadata, 'tokenizer.ggml.token_type') ?? tokens.map(() => 1);
  if (tokens.length === 0 || merges.length === 0 || types.length !== tokens.length) {
    throw new TabserveError(
      'corrupt_model',
      `The model's tokenizer has ${tokens.length} tokens, ${types.length} token types and ${merges.length} merges.`,
    );
  }
  const kinds = types.map((type) => KIND_OF_TYPE.get(type) ?? 'unused');
  const tokenId = (key: string): number | undefined => {
    const id = readInteger(metadata, `tokenizer.ggml.${key}_token_id`);
    if (id === undefined || id < tokens.length) return id;
    throw new TabserveError('corrupt_model', `The model file's ${key} token ${id} is outside its vocabulary.`);
  };
  const eosTokenId = tokenId('eos');
  const named = tokens.flatMap((token, id) => (kinds[id] === 'control' && STOP_TOKENS.has(token) ? [id] : []));
  const stops = [eosTokenId, tokenId('eot'), tokenId('eom'), ...named].filter((id) => id !== undefined);
  return { tokens, kinds, merges, bosTokenId: tokenId('bos'), eosTokenId, stopTokenIds: [...new Set(stops)] };
}
