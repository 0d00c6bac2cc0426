import type { OpCost } from '../gpu/op.ts';

/** What an op costs that moves so many words of 4 bytes, in and out, and `bytes` more. */
export function cost({ words, bytes = 0, macs = 0 }: { words: number; bytes?: number; macs?: number }): OpCost {
  return { bytes: 4 * words + bytes, macs };
}
