import type { ModelConfig } from '../core/model-config.ts';
import { paddedSize } from '../quant/packed-layout.ts';

/** Elements that a row has on the GPU: the model's, rounded up to whole groups of k. What is added is zero. */
export interface PaddedSizes {
  /** Of the residual stream: `hiddenSize`. */
  readonly hidden: number;
  /** Of what attention leaves: `numHeads * headSize`. */
  readonly attended: number;
  /** Of the gate, and of up: `intermediateSize`. */
  readonly ffn: number;
}

export function paddedSizes(config: Pick<ModelConfig, 'hiddenSize' | 'numHeads' | 'headSize' | 'intermediateSize'>): PaddedSizes {
  const { hiddenSize, numHeads, headSize, intermediateSize } = config;
  return { hidden: paddedSize(hiddenSize), attended: paddedSize(numHeads * headSize), ffn: paddedSize(intermediateSize) };
}
