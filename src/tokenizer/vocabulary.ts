import { TabserveError } from '../core/errors.ts';
import type { Work } from '../core/turns.ts';
import { readInteger, readIntegers, readNumbers, readString, readStrings, type Metadata } from './metadata.ts';

/**
 * `text`: part of the text, in the vocabulary's own characters. `byte`: one byte of it, as `<0x0A>`. `literal`: an added
 * token that is ordinary text and matched whole. `control`: structure, never text. `unused`: a place kept free.
 */
export type TokenKind = 'text' | 'byte' | 'literal' | 'control' | 'unused';

/** Text to token ids. With more than `enough` ids the rest of the text is left out. */
export type Encode = (text: string, enough?: number) => number[];

/** A model's tokens, by id. */
export interface Vocabulary {
  /** `bpe`: byte-level BPE (GPT-2's). `spm`: SentencePiece BPE (Llama 2's). */
  readonly algorithm: 'bpe' | 'spm';
  readonly tokens: readonly string[];
  readonly kinds: readonly TokenKind[];
  /** `bpe`: pairs, best first, each "left right". */
  readonly merges: readonly string[];
  /** `spm`: by id, the higher the sooner a token is made. */
  readonly scores: ArrayLike<number> & Iterable<number>;
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  readonly unknownTokenId: number | undefined;
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
  [6, 'byte'],
]);

/** GGUF's `tokenizer.ggml.model`. */
const ALGORITHMS: ReadonlyMap<string, Vocabulary['algorithm']> = new Map([
  ['gpt2', 'bpe'],
  ['llama', 'spm'],
]);

/** A million tokens is four times what the largest known vocabulary has. */
const MAX_TOKENS = 2 ** 20;
/** Twice that many merges; what ranks in merge queues have room for is more. */
const MAX_MERGES = 2 ** 21;
/** The longest known are a few hundred spaces. */
const MAX_TOKEN_LENGTH = 4096;
/** Each place of a text is held against all added tokens. Known ones have 70,000 characters at most, the longest some 50. */
const MAX_ADDED_CHARS = 2 ** 18;
const MAX_ADDED_LENGTH = 256;

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
 * @throws TabserveError `unsupported_model` where the tokenizer is of another kind or larger than any known, `corrupt_model`
 * where its parts contradict each other
 */
export function readVocabulary(metadata: Metadata): Vocabulary {
  const algorithm = readAlgorithm(metadata);
  const tokens = readStrings(metadata, 'tokenizer.ggml.tokens') ?? [];
  const merges = (algorithm === 'bpe' && readStrings(metadata, 'tokenizer.ggml.merges')) || [];
  const scores = (algorithm === 'spm' && readNumbers(metadata, 'tokenizer.ggml.scores')) || [];
  const types = readIntegers(metadata, 'tokenizer.ggml.token_type');
  checkSizes(algorithm, tokens, merges, scores, types);
  const kinds = tokens.map((token, id): TokenKind => {
    const kind = types === undefined ? 'text' : (KIND_OF_TYPE.get(types[id] ?? 0) ?? 'unused');
    return kind === 'byte' && (algorithm === 'bpe' || byteValue(token) === undefined) ? 'text' : kind;
  });
  checkAddedTokens(tokens, kinds);
  const tokenId = (key: string): number | undefined => {
    const id = readInteger(metadata, `tokenizer.ggml.${key}_token_id`);
    if (id === undefined || id < tokens.length) return id;
    throw new TabserveError('corrupt_model', `The model file's ${key} token ${id} is outside its vocabulary.`);
  };
  const eosTokenId = tokenId('eos');
  const named = tokens.flatMap((token, id) => (kinds[id] === 'control' && STOP_TOKENS.has(token) ? [id] : []));
  const stops = [eosTokenId, tokenId('eot'), tokenId('eom'), ...named].filter((id) => id !== undefined);
  return {
    algorithm,
    tokens,
    kinds,
    merges,
    scores,
    bosTokenId: tokenId('bos'),
    eosTokenId,
    unknownTokenId: tokenId('unknown'),
    stopTokenIds: [...new Set(stops)],
  };
}

function readAlgorithm(metadata: Metadata): Vocabulary['algorithm'] {
  const model = readString(metadata, 'tokenizer.ggml.model');
  const algorithm = model === undefined ? undefined : ALGORITHMS.get(model);
  if (algorithm !== undefined) return algorithm;
  const what =
    model === undefined ? 'The model file holds no tokenizer' : `The tokenizer kind "${model.slice(0, 64)}" is not supported`;
  throw new TabserveError(
    'unsupported_model',
    `${what}; supported are byte-level BPE ("gpt2") and SentencePiece BPE ("llama").`,
  );
}

function checkSizes(
  algorithm: Vocabulary['algorithm'],
  tokens: readonly string[],
  merges: readonly string[],
  scores: ArrayLike<number>,
  types: ArrayLike<number> | undefined,
): void {
  const isWhole = algorithm === 'bpe' ? merges.length > 0 : scores.length === tokens.length;
  if (tokens.length === 0 || !isWhole || (types !== undefined && types.length !== tokens.length)) {
    const order = algorithm === 'bpe' ? `${merges.length} merges` : `${scores.length} scores`;
    throw new TabserveError(
      'corrupt_model',
      `The model's tokenizer has ${tokens.length} tokens, ${types?.length ?? 'no'} token types and ${order}.`,
    );
  }
  const longest = tokens.reduce((most, token) => Math.max(most, token.length), 0);
  if (tokens.length > MAX_TOKENS || merges.length > MAX_MERGES || longest > MAX_TOKEN_LENGTH) {
    throw new TabserveError(
      'unsupported_model',
      `The model's tokenizer has ${tokens.length} tokens, the longest of ${longest} characters, and ${merges.length} ` +
        `merges; tabserve takes up to ${MAX_TOKENS} tokens of ${MAX_TOKEN_LENGTH} characters and ${MAX_MERGES} merges.`,
    );
  }
}

function checkAddedTokens(tokens: readonly string[], kinds: readonly TokenKind[]): void {
  const lengths = tokens.map((token, id) => (kinds[id] === 'control' || kinds[id] === 'literal' ? token.length : 0));
  const chars = lengths.reduce((sum, length) => sum + length, 0);
  const longest = lengths.reduce((most, length) => Math.max(most, length), 0);
  if (chars <= MAX_ADDED_CHARS && longest <= MAX_ADDED_LENGTH) return;
  throw new TabserveError(
    'unsupported_model',
    `The model's control and added tokens have ${chars} characters, the longest ${longest}; tabserve takes up to ` +
      `${MAX_ADDED_CHARS} in all and ${MAX_ADDED_LENGTH} each.`,
  );
}

/** Tokens read without a pause. */
const RUN = 4096;

/** The ids of tokens that merges may make of text, by the token; of several alike the first. */
export function* textIds({ tokens, kinds }: Vocabulary): Work<ReadonlyMap<string, number>> {
  const ids = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    if (kinds[id] === 'text' && !ids.has(token)) ids.set(token, id);
    if (id % RUN === 0) yield;
  }
  return ids;
}

/** The ids of added tokens that are ordinary text, by the token. */
export function literalIds({ tokens, kinds }: Vocabulary): ReadonlyMap<string, number> {
  const literals = tokens.flatMap((token, id) => (kinds[id] === 'literal' ? [[token, id] as const] : []));
  return new Map(literals.toReversed());
}

/** The byte that a token such as `<0x0A>` stands for. */
export function byteValue(token: string): number | undefined {
  const digits = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 16);
}
