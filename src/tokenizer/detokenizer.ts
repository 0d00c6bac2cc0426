import { tokenBytes } from './byte-level.ts';
import { SPACE_CHARACTER } from './sentencepiece.ts';
import { byteValue, type Vocabulary } from './vocabulary.ts';

/** Token ids to text, one token at a time. Cost is linear in the text. */
export interface Detokenizer {
  /** The text that the token adds; '' while a code point is incomplete, and for control tokens. */
  decode(id: number): string;
  /** The rest: U+FFFD for a code point that stayed incomplete. */
  flush(): string;
}

/** The bytes of each token by id, computed when first needed. */
export function createTokenByteTable(vocabulary: Vocabulary): (id: number) => Uint8Array {
  const { tokens, kinds, algorithm } = vocabulary;
  const utf8 = new TextEncoder();
  const table: (Uint8Array | undefined)[] = [];
  const none = new Uint8Array(0);
  const read = (id: number): Uint8Array => {
    const token = tokens[id];
    if (token === undefined || kinds[id] === 'control' || kinds[id] === 'unused') return none;
    if (kinds[id] === 'byte') return Uint8Array.of(byteValue(token) ?? 0);
    if (kinds[id] === 'literal') return utf8.encode(token);
    return algorithm === 'bpe' ? tokenBytes(token) : utf8.encode(token.replaceAll(SPACE_CHARACTER, ' '));
  };
  return (id) => (table[id] ??= read(id));
}

const SPACE = 0x20;

/**
 * Bytes are held until a code point is complete. Invalid UTF-8 becomes U+FFFD, as in TextDecoder.
 *
 * @param stripsFirstSpace the first token's leading space is the one that encoding put before the text
 */
export function createDetokenizer(bytesOf: (id: number) => Uint8Array, stripsFirstSpace = false): Detokenizer {
  // A byte order mark is text here.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let isFirst = true;
  const bytesToShow = (id: number): Uint8Array => {
    const bytes = bytesOf(id);
    const strips = stripsFirstSpace && isFirst && bytes[0] === SPACE;
    isFirst = false;
    return strips ? bytes.subarray(1) : bytes;
  };
  return {
    decode: (id) => decoder.decode(bytesToShow(id), { stream: true }),
    flush: () => decoder.decode(),
  };
}
