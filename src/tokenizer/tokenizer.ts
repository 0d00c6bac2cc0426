import { TabserveError } from '../core/errors.ts';
import type { ChatMessage, ChatTemplateOrigin } from '../core/protocol.ts';
import { runSync, runCooperatively, type Task } from '../core/cooperative-task.ts';
import { createBpeEncoder } from './bpe.ts';
import { createChatTemplate } from './chat-template.ts';
import { createPromptSplitter, type PromptPiece } from './control-tokens.ts';
import { createDetokenizer, createTokenByteTable, type Detokenizer } from './detokenizer.ts';
import { readFlag, readHint, readInteger, readString, type Metadata, type Warn } from './metadata.ts';
import type { TextPart } from './jinja/text.ts';
import { findPreTokenizer } from './pre-tokenizers.ts';
import { createSentencePieceEncoder } from './sentencepiece.ts';
import { blame, findChatTemplate, noChatTemplate, type TemplateSource } from './template-source.ts';
import { controlIds, type Encode, readVocabulary, type Vocabulary } from './vocabulary.ts';

/** Text to token ids and back, and chats to prompts. */
export interface Tokenizer {
  readonly vocabSize: number;
  /** A sentence for each hint of the file that is ignored or overridden. */
  readonly warnings: readonly string[];
  /** Tokens that end an answer. */
  readonly stopTokenIds: readonly number[];
  /** The origin of its chat template. */
  readonly chatTemplate: ChatTemplateOrigin;
  /** Encodes plain text: control tokens are not recognised, and no BOS is added. */
  encode(text: string): number[];
  /**
   * The prompt for the assistant's next message, by the chat template. Control tokens are those that the template
   * writes; inside a message they are text.
   *
   * @throws TabserveError `invalid_request` where the template refuses the messages, `unsupported_model` where there is
   *   none, `context_length_exceeded` where the messages are longer than any prompt that fits the model's context
   */
  encodeChat(messages: readonly ChatMessage[]): number[];
  /**
   * A prompt that is given as text, for plain completion. Control tokens in it are recognised. It begins with BOS,
   * once, where the model's prompts do, by the same rules as for a chat template's text.
   *
   * @throws TabserveError `context_length_exceeded`, param `prompt`, where the text is longer than any prompt that fits
   *   the model's context
   */
  encodePrompt(text: string): number[];
  /** {@link encodeChat} as a cooperative task: a long text takes longer than other tabs' streams can wait. */
  chatTask(messages: readonly ChatMessage[]): Task<number[]>;
  /** {@link encodePrompt} as a cooperative task. */
  promptTask(text: string): Task<number[]>;
  createDetokenizer(): Detokenizer;
}

export interface TokenizerOptions {
  /** The chat template's Jinja source. @default the file's */
  readonly chatTemplate?: string | undefined;
}

/**
 * A tokenizer from a GGUF file's metadata alone.
 *
 * @throws TabserveError `unsupported_model` naming the tokenizer kind, pre-tokenizer or template that is not supported,
 *   `corrupt_model` where the metadata contradicts itself, `invalid_request`, param `chatTemplate`, for one that cannot
 *   be used
 */
export function createTokenizer(metadata: Metadata, options: TokenizerOptions = {}): Tokenizer {
  return runSync(buildTokenizer(metadata, options));
}

/** The same, cooperatively: reading hundreds of thousands of tokens takes longer than other tabs' streams can wait. */
export function loadTokenizer(metadata: Metadata, options: TokenizerOptions = {}): Promise<Tokenizer> {
  return runCooperatively(buildTokenizer(metadata, options));
}

function* buildTokenizer(metadata: Metadata, options: TokenizerOptions): Task<Tokenizer> {
  const warnings: string[] = [];
  const warn: Warn = (message) => void warnings.push(message);
  const vocabulary = readVocabulary(metadata, warn);
  yield;
  const { encode, addBos, addsSpacePrefix } = yield* createEncoder(metadata, vocabulary, warn);
  yield;
  const bytesOf = createTokenByteTable(vocabulary);
  const prompts = createPromptEncoder(metadata, vocabulary, encode, addBos ? vocabulary.bosTokenId : undefined);
  const template = findChatTemplate(metadata, options.chatTemplate);
  const chatTask = createChatEncoder(template, vocabulary, prompts);
  return {
    vocabSize: vocabulary.tokens.length,
    warnings,
    stopTokenIds: vocabulary.stopTokenIds,
    encode: (text) => {
      const ids: number[] = [];
      runSync(encode(text, ids));
      return ids;
    },
    chatTemplate: template?.origin ?? 'none',
    encodeChat: (messages) => runSync(chatTask(messages)),
    encodePrompt: (text) => runSync(prompts.promptTask(text)),
    chatTask,
    promptTask: prompts.promptTask,
    createDetokenizer: () => createDetokenizer(bytesOf, addsSpacePrefix),
  };
}

interface Encoder {
  readonly encode: Encode;
  /** Whether a prompt begins with BOS. No prompt ends in EOS, whatever the file says, because the answer follows. */
  readonly addBos: boolean;
  readonly addsSpacePrefix: boolean;
}

/** Omitted settings have llama.cpp's defaults. */
function* createEncoder(metadata: Metadata, vocabulary: Vocabulary, warn: Warn): Task<Encoder> {
  const addBos = readFlag(metadata, 'tokenizer.ggml.add_bos_token', warn);
  if (vocabulary.algorithm === 'spm') {
    const addsSpacePrefix = readFlag(metadata, 'tokenizer.ggml.add_space_prefix', warn) ?? true;
    const encode = yield* createSentencePieceEncoder(vocabulary, addsSpacePrefix);
    return { encode, addBos: addBos ?? true, addsSpacePrefix };
  }
  const pre = findPreTokenizer(readString(metadata, 'tokenizer.ggml.pre'));
  const encode = yield* createBpeEncoder(vocabulary, pre);
  return { encode, addBos: addBos ?? pre.addBos, addsSpacePrefix: false };
}

/** Encodes prompts, in which control tokens and text are distinguished. */
interface PromptEncoder {
  /** @throws TabserveError `context_length_exceeded` where that many characters fit no prompt */
  readonly checkLength: (chars: number, param: PromptParam) => void;
  /** @throws TabserveError `context_length_exceeded` where they make more tokens than any prompt that fits */
  readonly encodeParts: (parts: readonly TextPart[], chars: number, param: PromptParam) => Task<number[]>;
  readonly promptTask: (text: string) => Task<number[]>;
}

/** The request's parameter that contains the prompt. */
type PromptParam = 'messages' | 'prompt';

/** @param bosTokenId the first token of each prompt */
function createPromptEncoder(
  metadata: Metadata,
  vocabulary: Vocabulary,
  encode: Encode,
  bosTokenId: number | undefined,
): PromptEncoder {
  const split = createPromptSplitter(controlIds(vocabulary));
  const swallows = swallowsWhiteSpace(metadata, vocabulary);
  const { maxChars, maxTokens } = longestFittingPrompt(metadata, vocabulary);
  const checkLength = (chars: number, param: PromptParam): void => {
    if (chars > maxChars) throw tooLong(chars, param);
  };
  function* encodeParts(parts: readonly TextPart[], chars: number, param: PromptParam): Task<number[]> {
    try {
      return yield* encodePieces(parts, chars, param);
    } catch (cause) {
      // JavaScript's own limit: the array would be too large.
      throw cause instanceof RangeError ? tooLong(chars, param, cause) : cause;
    }
  }
  function* encodePieces(parts: readonly TextPart[], chars: number, param: PromptParam): Task<number[]> {
    const prompt: number[] = [];
    const pieces = yield* split(parts);
    for (const piece of pieces) {
      if ('text' in piece) {
        const strips = swallows(prompt.at(-1));
        yield* encode(strips ? withoutLeadingSpace(piece.text) : piece.text, prompt, maxTokens);
      } else prompt.push(piece.controlTokenId);
      if (prompt.length > maxTokens) throw tooLong(chars, param);
    }
    const hasBos = prompt[0] === bosTokenId || beginsWith(pieces, bosTokenId);
    if (bosTokenId !== undefined && !hasBos) prompt.unshift(bosTokenId);
    return prompt;
  }
  function* promptTask(text: string): Task<number[]> {
    checkLength(text.length, 'prompt');
    return yield* encodeParts([{ text, isOwn: true }], text.length, 'prompt');
  }
  return { checkLength, encodeParts, promptTask };
}

function createChatEncoder(
  template: TemplateSource | undefined,
  { tokens, bosTokenId: bos, eosTokenId: eos }: Vocabulary,
  { checkLength, encodeParts }: PromptEncoder,
): (messages: readonly ChatMessage[]) => Task<number[]> {
  if (template === undefined) {
    return () => {
      throw noChatTemplate();
    };
  }
  const { source } = template;
  const textOf = (id: number | undefined): string => (id === undefined ? '' : (tokens[id] ?? ''));
  const render = blame(template, () => createChatTemplate(source, { bos: textOf(bos), eos: textOf(eos) }));
  return function* chatTask(messages) {
    const chars = messages.reduce((sum, { content }) => sum + content.length, 0);
    checkLength(chars, 'messages');
    if (chars > LONG_CHAT) yield;
    const parts = blame(template, () => render(messages));
    return yield* encodeParts(parts, chars, 'messages');
  };
}

/** Whether only white space precedes the control token: many templates have a line break there. */
function beginsWith(pieces: readonly PromptPiece[], controlTokenId: number | undefined): boolean {
  const first = pieces.find((piece) => !('text' in piece) || piece.text.trim() !== '');
  return first !== undefined && 'controlTokenId' in first && first.controlTokenId === controlTokenId;
}

/** A text without leading white space, as by C's isspace(). */
function withoutLeadingSpace(text: string): string {
  let start = 0;
  while (start < text.length && /[ \t-\r]/.test(text[start] ?? '')) start++;
  return text.slice(start);
}

/**
 * Whether a control token swallows the white space after it. Phi-3's do. No GGUF records that, so this goes by the
 * model's name, as llama.cpp does.
 */
function swallowsWhiteSpace(metadata: Metadata, { tokens, kinds }: Vocabulary): (id: number | undefined) => boolean {
  if (!/phi-?3/i.test(readHint(metadata, 'general.name') ?? '')) return () => false;
  const others = ['<unk>', '<s>', '<|endoftext|>'];
  return (id) => id !== undefined && kinds[id] === 'control' && !others.includes(tokens[id] ?? '');
}

/** @param cause the failure of encoding, if that is the reason */
function tooLong(chars: number, param: PromptParam, cause?: RangeError): TabserveError {
  const what = param === 'messages' ? `Messages of ${chars} characters` : `A prompt of ${chars} characters`;
  const why = cause === undefined ? "cannot fit the model's context" : 'cannot be encoded in the memory that there is; shorten it';
  return new TabserveError('context_length_exceeded', `${what} ${why}.`, { param, cause });
}

/**
 * Messages of this many characters have their template rendered in its own turn of the event loop. Its budget bounds
 * that turn.
 */
const LONG_CHAT = 2 ** 16;

/** Ten times the length of a novel. */
const MOST_CHARS = 4 * 2 ** 20;

/**
 * The most characters and tokens of any fitting prompt, so that an absurd one is refused before it costs work. A prompt
 * that is not absurd is counted completely, so that its refusal can name its length.
 */
function longestFittingPrompt(
  metadata: Metadata,
  vocabulary: Vocabulary,
): { readonly maxChars: number; readonly maxTokens: number } {
  const architecture = readString(metadata, 'general.architecture');
  const contextLength = readInteger(metadata, `${architecture}.context_length`);
  if (contextLength === undefined) return { maxChars: MOST_CHARS, maxTokens: Infinity };
  const longest = vocabulary.tokens.reduce((most, token) => Math.max(most, token.length), 1);
  return { maxChars: Math.min(contextLength * longest, MOST_CHARS), maxTokens: 4 * contextLength + 1024 };
}
