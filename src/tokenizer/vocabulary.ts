import { TabserveError } from '../core/errors.ts';
import type { Task } from '../core/cooperative-task.ts';
import { readIntegers, readNumbers, readString, readStrings, type Metadata, type Warn } from './metadata.ts';
import { findStopTokens, looksLikeControl, readSpecialTokenIds, type SpecialTokenIds } from './special-tokens.ts';

/**
 * `text`: part of the text, in the vocabulary's own characters. `byte`: one byte of it, as `<0x0A>`. `literal`: an
 * added token that is ordinary text and matched whole. `control`: structure, never text. `unused`: a reserved id.
 */
export type TokenKind = 'text' | 'byte' | 'literal' | 'control' | 'unused';

/** Appends a text's token ids to `out`. With more than `enough` ids the rest of the text is left out. */
export type Encode = (text: string, out: number[], enough?: number) => Task<void>;

/** A model's tokens, by id. */
export interface Vocabulary {
  /** `bpe`: byte-level BPE (GPT-2's). `spm`: SentencePiece BPE (Llama 2's). */
  readonly algorithm: 'bpe' | 'spm';
  readonly tokens: readonly string[];
  readonly kinds: readonly TokenKind[];
  /** `bpe`: pairs, best first, each "left right". */
  readonly merges: readonly string[];
  /** `spm`: by id; a token of a higher score is merged first. */
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

/** A million tokens is four times the largest known vocabulary. */
const MAX_TOKENS = 2 ** 20;
/** Twice as many merges; the ranks of merge queues allow more. */
const MAX_MERGES = 2 ** 21;
/** The longest known are a few hundred spaces. */
export const MAX_TOKEN_LENGTH = 4096;
/**
 * Every index of a text is compared with all added tokens. Known ones have 70,000 characters at most, the longest about
 * 50.
 */
const MAX_ADDED_CHARS = 2 ** 18;
const MAX_ADDED_LENGTH = 256;

/**
 * @param warn receives hints that are ignored, and tokens that are treated as control tokens despite their type
 * @throws TabserveError `unsupported_model` where the tokenizer is of another kind, larger than any known or
 *   incomplete, `corrupt_model` where its parts contradict each other
 */
export function readVocabulary(metadata: Metadata, warn: Warn = () => {}): Vocabulary {
  const algorithm = readAlgorithm(metadata);
  const tokens = required(readStrings(metadata, 'tokenizer.ggml.tokens'), 'tokens');
  const merges = algorithm === 'bpe' ? required(readStrings(metadata, 'tokenizer.ggml.merges'), 'merges') : [];
  const scores = algorithm === 'spm' ? required(readNumbers(metadata, 'tokenizer.ggml.scores'), 'scores') : [];
  const types = readIntegers(metadata, 'tokenizer.ggml.token_type');
  checkSizes(algorithm, tokens, merges, scores, types);
  const ids = readSpecialTokenIds(metadata, algorithm === 'spm', tokens, warn);
  const kinds = readKinds({ algorithm, tokens, merges }, types, ids, warn);
  checkAddedTokens(tokens, kinds);
  const stopTokenIds = findStopTokens(tokens, (id) => kinds[id] === 'control', ids);
  if (stopTokenIds.length === 0) {
    warn('The model file names no token that ends an answer: answers go on until max_tokens, a stop string or the context ends.');
  }
  return {
    algorithm,
    tokens,
    kinds,
    merges,
    scores,
    bosTokenId: ids.bos,
    eosTokenId: ids.eos,
    unknownTokenId: ids.unknown,
    stopTokenIds,
  };
}

function required<T>(value: T | undefined, name: string): T {
  if (value !== undefined) return value;
  throw new TabserveError('unsupported_model', `The model file's tokenizer has no ${name}, which tabserve needs.`);
}

/**
 * The kind of each token: by its type, except for tokens that are always control tokens. These are the file's own BOS,
 * EOS, EOT and EOM, and those named like a control token (see {@link looksLikeControl}), unless merges make them of
 * ordinary text (Qwen's `</s>`). A token of one character stays text, because people write it.
 */
function readKinds(
  { algorithm, tokens, merges }: Pick<Vocabulary, 'algorithm' | 'tokens' | 'merges'>,
  types: ArrayLike<number> | undefined,
  ids: SpecialTokenIds,
  warn: Warn,
): readonly TokenKind[] {
  const kinds = tokens.map((token, id): TokenKind => {
    // Without types, a byte token is recognised by its name, such as <0x0A>.
    const kind = types === undefined ? 'byte' : (KIND_OF_TYPE.get(types[id] ?? 0) ?? 'unused');
    return kind === 'byte' && (algorithm === 'bpe' || byteValue(token) === undefined) ? 'text' : kind;
  });
  if (types === undefined && algorithm === 'spm' && ids.unknown !== undefined) kinds[ids.unknown] = 'control';
  const named = tokens.flatMap((token, id) => (kinds[id] !== 'control' && looksLikeControl(token) ? [id] : []));
  const made = madeByMerges(merges, new Set(named.map((id) => tokens[id] ?? '')));
  const given = [ids.bos, ids.eos, ids.eot, ids.eom].filter((id) => id !== undefined && kinds[id] !== 'control');
  const overridden = [...given, ...named.filter((id) => !made.has(tokens[id] ?? ''))].flatMap((id) => {
    return id !== undefined && [...(tokens[id] ?? '')].length > 1 ? [id] : [];
  });
  for (const id of overridden) kinds[id] = 'control';
  if (types !== undefined && overridden.length > 0) {
    const names = [...new Set(overridden.map((id) => JSON.stringify(tokens[id] ?? '')))];
    const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : '';
    warn(`The model file gives these tokens another type, but they are treated as control tokens: ${names.slice(0, MAX_NAMED).join(', ')}${more}.`);
  }
  return kinds;
}

/** The most tokens that a warning names. */
const MAX_NAMED = 8;

/** Those of the tokens that a merge makes. */
function madeByMerges(merges: readonly string[], tokens: ReadonlySet<string>): ReadonlySet<string> {
  const lengths = new Set(Array.from(tokens, (token) => token.length + 1));
  const made = merges.flatMap((merge) => {
    const token = lengths.has(merge.length) ? merge.replace(' ', '') : '';
    return tokens.has(token) ? [token] : [];
  });
  return new Set(made);
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

/** Tokens read between two yields. */
const RUN = 4096;

/** The ids of tokens that merges may make of text, by the token; the first of equal ones. */
export function* textIds({ tokens, kinds }: Vocabulary): Task<ReadonlyMap<string, number>> {
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

/**
 * The ids of control tokens, by the token. Of equal ones, the file's own BOS or EOS, else the last.
 */
export function controlIds({ tokens, kinds, bosTokenId, eosTokenId }: Vocabulary): ReadonlyMap<string, number> {
  const ids = [...tokens.keys(), eosTokenId, bosTokenId].filter((id) => id !== undefined);
  return new Map(ids.flatMap((id) => (kinds[id] === 'control' ? [[tokens[id] ?? '', id] as const] : [])));
}

/** The byte of a token such as `<0x0A>`. */
export function byteValue(token: string): number | undefined {
  const digits = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 16);
}
