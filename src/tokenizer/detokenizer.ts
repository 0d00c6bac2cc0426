import { tokenBytes } from './byte-level.ts';
import type { Vocabulary } from './vocabulary.ts';

/** Token ids to text, one at a time: the text is the same however it is pushed. Cost is linear in the text. */
export interface Detokenizer {
  /** What the token adds to the text; '' while a code point is incomplete, and for control tokens. */
  push(id: number): string;
  /** What is left: U+FFFD for a code point that stayed incomplete. */
  flush(): string;
}

/** The bytes of each token by id, as they are first needed. */
export function createTokenByteTable(vocabulary: Vocabulary): (id: number) => Uint8Array {
  const { tokens, kinds } = vocabulary;
  const table: (Uint8Array | undefined)[] = [];
  const none = new Uint8Array(0);
  const read = (id: number): Uint8Array => {
    const token = tokens[id];
    if (token === undefined || kinds[id] === 'control' || kinds[id] === 'unused') return none;
    return kinds[id] === 'literal' ? new TextEncoder().encode(token) : tokenBytes(token);
  };
  return (id) => (table[id] ??= read(id));
}

/** Bytes are kept until a code point is complete; bytes that are no UTF-8 become U+FFFD, as TextDecoder has it. */
export function createDetokenizer(bytesOf: (id: number) => Uint8Array): Detokenizer {
  // A byte order mark is text here.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return {
    push: (id) => decoder.decode(bytesOf(id), { stream: true }),
    flush: () => decoder.decode(),
  };
}
