import { expect, test } from 'vitest';
import { BufferPool } from '../../../src/gpu/buffers.ts';
import { countingDevice } from '../../../src/gpu/counting-device.ts';
import { readModelFile } from '../../../src/formats/gguf.ts';
import { readModelConfig } from '../../../src/models/architectures.ts';
import { planWeights } from '../../../src/models/weights.ts';
import { writeGguf } from '../../support/gguf-writer.ts';
import { memorySource } from '../../support/gpu-runner.ts';
import { tinyModelContents, type TinyModelOptions } from '../../support/tiny-model.ts';

// The models' planner names buffer usages, which only browsers have.
Object.assign(globalThis, { GPUBufferUsage: globalThis.GPUBufferUsage ?? { UNIFORM: 64, STORAGE: 128, COPY_DST: 8, COPY_SRC: 4 } });

async function weightsOf(options: TinyModelOptions, maxBindingBytes = 2 ** 27) {
  const file = await readModelFile(memorySource(writeGguf(tinyModelContents(options))));
  const pool = new BufferPool(countingDevice({ maxBufferSize: 2 ** 27, maxStorageBufferBindingSize: 2 ** 27 }));
  const config = readModelConfig(file);
  const plan = planWeights(file, config, pool, { numerics: 'f32', wideScales: false, maxSlices: 1, maxBindingBytes });
  return { ...plan, config };
}

test.each([259, 260, 261, 262])('a vocabulary of %i: whole words of rows, in one matrix and in several', async (vocabSize) => {
  for (const maxBindingBytes of [2 ** 27, 5000]) {
    const { weights, destinations, config } = await weightsOf({ preset: 'narrow', type: 'Q8_0', vocabSize, tied: false }, maxBindingBytes);
    expect(config.vocabSize).toBe(vocabSize);
    for (const [tensor, matrices] of [['token_embd.weight', weights.embedding], ['output.weight', weights.head]] as const) {
      expect(matrices).toHaveLength(maxBindingBytes === 5000 ? 5 : 1);
      expect(matrices.reduce((sum, { matrix }) => sum + matrix.rows, 0)).toBe(Math.ceil(vocabSize / 4) * 4);
      const destination = destinations.get(tensor);
      if (destination?.kind !== 'matrix') throw new Error(`${tensor} goes nowhere`);
      expect(destination.shards.reduce((sum, { rows }) => sum + rows, 0)).toBe(vocabSize);
    }
  }
});

test('every other size that floats may have: whole groups, the same for all that share them', async () => {
  const sizes = { hiddenSize: 90, intermediateSize: 173, numHeads: 3, numKvHeads: 1, headSize: 20 };
  const { weights } = await weightsOf({ preset: 'gqa3', type: 'F32', ...sizes });
  for (const { attentionNorm, ffnNorm, qkv, attentionOutput, gateUp, down } of weights.layers) {
    expect([attentionNorm.size, ffnNorm.size, weights.outputNorm.size]).toEqual([96 * 4, 96 * 4, 96 * 4]);
    expect([...qkv, ...gateUp].map(({ matrix }) => matrix.columns)).toEqual(Array.from({ length: qkv.length + gateUp.length }, () => 96));
    expect(gateUp.reduce((sum, { matrix }) => sum + matrix.rows, 0)).toBe(2 * 192);
    expect([attentionOutput.rows, attentionOutput.columns, down.rows, down.columns]).toEqual([96, 64, 96, 192]);
  }
});
