import type { ModelConfig } from '../core/model-config.ts';
import { paddedSize } from '../quant/packed-layout.ts';

/** Row lengths on the GPU, in elements: the model's, rounded up to whole groups of k. The padding is zero. */
export interface PaddedSizes {
  /** Of the residual stream: `hiddenSize`. */
  readonly hidden: number;
  /** Of attention's output: `numHeads * headSize`. */
  readonly attended: number;
  /** Of the gate and of the up projection: `intermediateSize`. */
  readonly ffn: number;
}

export function paddedSizes(config: Pick<ModelConfig, 'hiddenSize' | 'numHeads' | 'headSize' | 'intermediateSize'>): PaddedSizes {
  const { hiddenSize, numHeads, headSize, intermediateSize } = config;
  return { hidden: paddedSize(hiddenSize), attended: paddedSize(numHeads * headSize), ffn: paddedSize(intermediateSize) };
}
