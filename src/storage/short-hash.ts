import { sha256 } from '@noble/hashes/sha2.js';

/** 64 bits of a text's SHA-256, in hexadecimal, for a name that must not reveal the text. */
export function shortHash(text: string): string {
  const bytes = sha256(new TextEncoder().encode(text)).subarray(0, 8);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
