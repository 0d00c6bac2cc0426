import type { OpCost } from '../gpu/op.ts';

/** The cost of an op that moves `words` words of 4 bytes, in and out, and `bytes` more. */
export function cost({ words, bytes = 0, macs = 0 }: { words: number; bytes?: number; macs?: number }): OpCost {
  return { bytes: 4 * words + bytes, macs };
}
