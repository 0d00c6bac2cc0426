import { readTokenId, type Metadata, type Warn } from './metadata.ts';

/** The tokens whose ids a file assigns a role. */
export interface SpecialTokenIds {
  readonly bos: number | undefined;
  readonly eos: number | undefined;
  /** End of a turn. */
  readonly eot: number | undefined;
  /** End of a message that is not the end of a turn, such as a tool call. */
  readonly eom: number | undefined;
  readonly unknown: number | undefined;
}

/** SentencePiece's default ids and names of its first tokens, which apply where a file omits them, as in llama.cpp. */
const SENTENCEPIECE = { unknown: [0, '<unk>'], bos: [1, '<s>'], eos: [2, '</s>'] } as const;

/**
 * The ids of a file's special tokens. They are hints: one that is no token of the vocabulary (-1, or beyond its end) is
 * ignored.
 */
export function readSpecialTokenIds(
  metadata: Metadata,
  isSentencePiece: boolean,
  tokens: readonly string[],
  warn: Warn,
): SpecialTokenIds {
  const own = (name: string): number | undefined => {
    return readTokenId(metadata, `tokenizer.ggml.${name}_token_id`, tokens.length, warn);
  };
  const usual = (name: keyof typeof SENTENCEPIECE): number | undefined => {
    const [id, token] = SENTENCEPIECE[name];
    return isSentencePiece && tokens[id] === token ? id : undefined;
  };
  return {
    bos: own('bos') ?? usual('bos'),
    eos: own('eos') ?? usual('eos'),
    eot: own('eot'),
    eom: own('eom'),
    unknown: own('unknown') ?? usual('unknown'),
  };
}

/** Names of tokens that end a turn or a text in some model family, for files whose metadata omits it. */
const STOP_NAMES: ReadonlySet<string> = new Set([
  '<|im_end|>',
  '<|endoftext|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<|end_of_text|>',
  '<|end|>',
  '<|return|>',
  '<|call|>',
  '<|calls|>',
  '<|flush|>',
  '<end_of_turn>',
  '<end_of_utterance>',
  '<\uff5cend\u2581of\u2581sentence\uff5c>', // DeepSeek's
  '</s>',
  '<eos>',
  '[EOS]',
  '[EOT]',
  '<EOT>',
  '_<EOT>',
  '\u2581<EOT>', // Code Llama's
  // Separators of files and repositories in code models' training texts. An answer ends there.
  '<|fim_pad|>',
  '<fim-pad>',
  '<fim_pad>',
  '<PAD>',
  '[PAD]',
  '<|fim_repo|>',
  '<|repo_name|>',
  '<fim-repo>',
  '<fim_repo>',
  '<REPO>',
  '<reponame>',
  '<|file_sep|>',
]);

/** Names of other control tokens that do not look like one. */
const CONTROL_NAMES: ReadonlySet<string> = new Set([
  '<fim_prefix>',
  '<fim_suffix>',
  '<fim_middle>',
  '<fim-prefix>',
  '<fim-suffix>',
  '<fim-middle>',
  '<PRE>',
  '<SUF>',
  '<MID>',
  '\u2581<PRE>',
  '\u2581<SUF>',
  '\u2581<MID>',
  '<pad>',
  '<mask>',
  '<2mass>',
  '[@BOS@]',
]);

/** `<|im_start|>`, DeepSeek's form of it with wide bars, and Gemma's reserved tokens. */
const CONTROL_LOOKS = [/^<\|(?=.*[\p{L}\p{N}])[^\s|<>]+\|>$/u, /^<\uff5c[^\s\uff5c<>]+\uff5c>$/u, /^<unused\d+>$/];

/**
 * Whether a token's name is that of a control token, whatever type the file gives it:
 *
 * - `<|name|>`, with wide bars as well (`<｜name｜>`), and `<unusedN>`;
 * - the names known to end a turn or a text (`</s>`, `<end_of_turn>`, `[EOS]`, ...) or to separate files;
 * - the other names of fill-in-the-middle's parts, and a few more (`<fim_prefix>`, `<PRE>`, `<pad>`, `<mask>`, ...).
 *
 * llama.cpp treats these as control tokens when it loads a file, and gives them that type when it makes one. Other
 * names in angle brackets have the type that the file gives: `<code>`, `<think>`, `<tool_call>` and `<table>` are text
 * that a model writes for others to read.
 */
export function looksLikeControl(name: string): boolean {
  if (!name.endsWith('>') && !name.endsWith(']')) return false; // most of a vocabulary
  return STOP_NAMES.has(name) || CONTROL_NAMES.has(name) || CONTROL_LOOKS.some((pattern) => pattern.test(name));
}

/** Pairs of names that together show that `<|end|>` ends a message and not the answer: gpt-oss's, and Solar's. */
const MESSAGE_ENDS = [['<|return|>', '<|call|>'], ['<|calls|>', '<|flush|>']] as const;

/** The tokens that end an answer: the file's own, then those with a known name. */
export function findStopTokens(
  tokens: readonly string[],
  isControl: (id: number) => boolean,
  ids: SpecialTokenIds,
): readonly number[] {
  const named = tokens.flatMap((token, id) => (STOP_NAMES.has(token) && isControl(id) ? [id] : []));
  const names = new Set(named.map((id) => tokens[id]));
  const endIsOfMessage = MESSAGE_ENDS.some((pair) => pair.every((name) => names.has(name)));
  const ends = named.filter((id) => !(endIsOfMessage && tokens[id] === '<|end|>'));
  const all = [ids.eos, ids.eot, ids.eom, ...ends];
  return [...new Set(all.filter((id) => id !== undefined))];
}
