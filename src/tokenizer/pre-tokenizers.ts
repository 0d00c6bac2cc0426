import { TabserveError } from '../core/errors.ts';
import { cl100kPieceEnd, gpt2PieceEnd } from './piece-ends.ts';

/** How a family of byte-level BPE tokenizers splits text into the pieces that BPE works on. */
export interface PreTokenizer {
  /** Whether each `\p{N}` is its own piece; the text between is then split independently. */
  readonly separatesDigits: boolean;
  /** The end of the piece that begins at `place`, in a text that ends at `end`. There is always one. */
  readonly pieceEnd: (text: string, place: number, end: number) => number;
  readonly normalizer: 'NFC' | undefined;
  /** A piece that is a token itself is taken whole, without merges. */
  readonly ignoreMerges: boolean;
  /** Whether a prompt begins with the BOS token if the file does not specify it. */
  readonly addBos: boolean;
}

const PLAIN = { separatesDigits: false, normalizer: undefined, ignoreMerges: false, addBos: false } as const;
const GPT2: PreTokenizer = { ...PLAIN, pieceEnd: gpt2PieceEnd };
const STARCODER: PreTokenizer = { ...GPT2, separatesDigits: true };
const LLAMA3: PreTokenizer = { ...PLAIN, pieceEnd: cl100kPieceEnd(3), ignoreMerges: true, addBos: true };
const QWEN2: PreTokenizer = { ...PLAIN, pieceEnd: cl100kPieceEnd(1), normalizer: 'NFC' };

/**
 * By the file's `tokenizer.ggml.pre`. Pieces are those of the families' own tokenizer.json files. Names that llama.cpp
 * treats as the same tokenizer are listed together.
 */
const PRE_TOKENIZERS: ReadonlyMap<string, PreTokenizer> = new Map([
  ['smollm', STARCODER],
  ['starcoder', STARCODER],
  ['gpt-2', GPT2],
  ['phi-2', GPT2],
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
