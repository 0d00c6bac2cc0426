import type { SchedulerConfig } from '../../../src/core/scheduler-output.ts';

/**
 * A block table of its own for each slot: every `maxNumSeqs`-th block, so that blocks of a sequence are not neighbours.
 *
 * @param tokens that the sequence has room for
 * @throws Error where the KV cache has fewer blocks
 */
export function blocksFor(config: SchedulerConfig, slot: number, tokens: number): number[] {
  const count = Math.ceil(tokens / config.blockSize);
  const stride = config.maxNumSeqs;
  const blocks = Array.from({ length: count }, (_, i) => (count - 1 - i) * stride + slot);
  if (Math.max(...blocks) >= config.numBlocks) throw new Error(`the KV cache has ${config.numBlocks} blocks, too few for ${tokens} tokens`);
  return blocks;
}
