/** 53 bits: the most that fit a number, which is a fast key of a Map. */
export type BlockHash = number;

/** The hash of `tokenIds[start]` to `tokenIds[end - 1]`, chained to the hash `parent` of the tokens before them. */
export type HashBlock = (parent: BlockHash, tokenIds: readonly number[], start: number, end: number) => BlockHash;

/**
 * Two lanes of MurmurHash3's 32-bit mixing (Austin Appleby, public domain) with different constants, chained. Fast and
 * well distributed, but not cryptographic: callers must compare the hashed content.
 */
export const hashBlock: HashBlock = (parent, tokenIds, start, end) => {
  let low = (parent >>> 0) ^ 0x9e3779b9;
  let high = Math.floor(parent / 2 ** 32) ^ 0x85ebca6b;
  for (let i = start; i < end; i++) {
    const token = tokenIds[i] ?? 0;
    low = Math.imul(rotate(low ^ scramble(token, 0xcc9e2d51, 0x1b873593), 13), 5) + 0xe6546b64;
    high = Math.imul(rotate(high ^ scramble(token, 0x239b961b, 0x38b34ae5), 17), 5) + 0x561ccd1b;
  }
  low = finish(low ^ (end - start));
  high = finish(high ^ low);
  return (high & 0x1fffff) * 2 ** 32 + (finish(low ^ high) >>> 0);
};

/** The start of a chain of hashes. Sequences of different salts share no blocks. */
export function hashSalt(salt: string): BlockHash {
  const codes = Array.from(salt, (character) => character.codePointAt(0) ?? 0);
  return hashBlock(0, codes, 0, codes.length);
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function scramble(token: number, before: number, after: number): number {
  return Math.imul(rotate(Math.imul(token, before), 15), after);
}

/** Each bit of the value changes each bit of the result with a probability of one half. */
function finish(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
