import type { ModelConfig } from '../../../src/core/model-config.ts';
import { layerBlockBytes } from '../../../src/kernels/rope-kv-write.ts';
import type { ModelFile } from '../../../src/formats/gguf.ts';
import { packedWords, scaleWords } from '../../../src/quant/packed-layout.ts';
import { packedFormatOf } from '../../../src/quant/repack.ts';

/** What something has to read from memory and to compute at least. */
export interface Work {
  readonly bytes: number;
  /** Multiply-adds. */
  readonly macs: number;
}

/** The least that a model's steps have to do, with a KV cache in f32. */
export class StepWork {
  readonly #config: ModelConfig;
  /** Bytes, packed as on the GPU, and elements of what every token goes through, and of the head, which samples do. */
  readonly #layers: Work;
  readonly #head: Work;

  /** @param isSoftware whether the adapter is: scales of 4-bit weights are wider there */
  constructor(file: ModelFile, config: ModelConfig, isSoftware: boolean) {
    this.#config = config;
    const head = config.tiedEmbeddings ? 'token_embd.weight' : 'output.weight';
    const matrices = file.tensors.flatMap(({ name, type, shape: [rows = 0, columns] }) => {
      const format = packedFormatOf(type);
      // An embedding that is no head is looked up, a row a token.
      if (format === undefined || columns === undefined || (name === 'token_embd.weight' && name !== head)) return [];
      const scaleBytes = format === 'int4' && isSoftware ? 8 : 4;
      const bytes = packedWords(format, rows, columns) * 4 + scaleWords(format, rows, columns) * scaleBytes;
      return [{ name, bytes, macs: rows * columns }];
    });
    this.#layers = sum(matrices.filter(({ name }) => name !== head));
    this.#head = sum(matrices.filter(({ name }) => name === head));
  }

  /** Bytes of weights that a step which samples reads. */
  get weightBytes(): number {
    return this.#layers.bytes + this.#head.bytes;
  }

  /** Multiply-adds of a token in the layers' matrices. */
  get bodyMacs(): number {
    return this.#layers.macs;
  }

  /** Multiply-adds of a sampled token in the head. */
  get headMacs(): number {
    return this.#head.macs;
  }

  /** Bytes of a token's keys and values, over all layers. */
  get kvTokenBytes(): number {
    return this.#config.numLayers * 2 * layerBlockBytes({ ...this.#config, blockSize: 1 }, 'f32');
  }

  /** One step of `batch` sequences that each attend to `context` tokens. */
  decodeStep(batch: number, context: number): Work {
    return {
      bytes: this.weightBytes + batch * context * this.kvTokenBytes,
      macs: batch * (this.#layers.macs + this.#head.macs + this.#attentionMacs(context)),
    };
  }

  /** A prompt of `tokens`, `chunk` of them a step, of which the last one is sampled. */
  prefill(tokens: number, chunk: number): Work {
    let bytes = this.#head.bytes;
    for (let from = 0; from < tokens; from += chunk) bytes += this.#layers.bytes + from * this.kvTokenBytes;
    const attended = (tokens * (tokens + 1)) / 2;
    return { bytes, macs: tokens * this.#layers.macs + this.#head.macs + this.#attentionMacs(attended) };
  }

  /** Queries times keys, and weights times values, of so many pairs of tokens. */
  #attentionMacs(pairs: number): number {
    const { numLayers, numHeads, headSize } = this.#config;
    return 2 * numLayers * numHeads * headSize * pairs;
  }
}

function sum(parts: readonly Work[]): Work {
  return parts.reduce((all, { bytes, macs }) => ({ bytes: all.bytes + bytes, macs: all.macs + macs }), { bytes: 0, macs: 0 });
}
