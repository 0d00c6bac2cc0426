import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readModelFile } from '../../../src/formats/gguf.ts';
import { readModelConfig } from '../../../src/models/architectures.ts';
import { StepWork } from '../../../demo/bench/models/step-work.ts';
import { SYNTHETIC, SYNTHETIC_SHAPES, type SyntheticShape, syntheticModel } from '../../../demo/bench/models/synthetic-model.ts';
import { dequantise, type GgmlType } from '../../support/ggml-blocks.ts';

/** Small enough to be read whole; rows of several blocks, tensors of less and of more than a period. */
const SMALL: SyntheticShape = {
  name: 'small',
  architecture: 'llama',
  hiddenSize: 96,
  intermediateSize: 160,
  numLayers: 2,
  numHeads: 3,
  numKvHeads: 1,
  headSize: 32,
  vocabSize: 3000,
  tied: false,
  type: 'Q4_1',
};

describe('what is read', () => {
  test('is the same, wherever a read begins and ends', async () => {
    const source = syntheticModel(SMALL);
    const whole = await source.read(0, source.size);
    const again = await syntheticModel(SMALL).read(0, source.size);
    expect(Buffer.compare(whole, again)).toBe(0);
    const place = fc.integer({ min: 0, max: source.size });
    await fc.assert(
      fc.asyncProperty(place, place, async (a, b) => {
        const [from, to] = a < b ? [a, b] : [b, a];
        expect(Buffer.compare(await source.read(from, to - from), whole.subarray(from, to))).toBe(0);
      }),
    );
  });

  test('is not beyond the end', async () => {
    const source = syntheticModel(SMALL);
    await expect(source.read(source.size - 1, 2)).rejects.toMatchObject({ code: 'internal' });
  });

  test('ends with the last tensor', async () => {
    const { tensors, source } = await readModelFile(syntheticModel(SMALL));
    expect(Math.max(...tensors.map(({ offset, byteLength }) => offset + byteLength))).toBe(source.size);
  });
});

describe.each(SYNTHETIC)('%s', (key) => {
  const shape = SYNTHETIC_SHAPES[key];

  test('is a GGUF file of its shape', async () => {
    const file = await readModelFile(syntheticModel(shape));
    const { name, type, tied, ...sizes } = shape;
    expect(readModelConfig(file)).toMatchObject({ ...sizes, name, tiedEmbeddings: tied, ropeDimensions: shape.headSize });
    const types = new Map(file.tensors.map((tensor) => [tensor.name, tensor.type]));
    expect(types.get('token_embd.weight')).toBe('Q8_0');
    expect(types.get('output.weight')).toBe(tied ? undefined : 'Q8_0');
    expect(types.get('output_norm.weight')).toBe('F32');
    const last = `blk.${shape.numLayers - 1}`;
    for (const part of ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down']) {
      expect(types.get(`${last}.${part}.weight`)).toBe(type);
    }
    expect(types.size).toBe((shape.architecture === 'qwen3' ? 11 : 9) * shape.numLayers + (tied ? 2 : 3));
  });

  test("weights have the spread that keeps a row's size", async () => {
    const file = await readModelFile(syntheticModel(shape));
    for (const name of ['token_embd.weight', 'blk.0.attn_q.weight', 'blk.1.ffn_down.weight']) {
      const tensor = file.tensors.find((found) => found.name === name);
      if (tensor === undefined) throw new Error(`no ${name}`);
      const [rows = 1, columns = 1] = tensor.shape;
      const rowBytes = tensor.byteLength / rows;
      const bytes = await file.source.read(tensor.offset + 7 * rowBytes, 2 * rowBytes);
      const weights = dequantise(tensor.type as GgmlType, bytes, 2 * columns);
      const mean = weights.reduce((a, b) => a + b, 0) / weights.length;
      const spread = Math.sqrt(weights.reduce((sum, w) => sum + (w - mean) ** 2, 0) / weights.length);
      expect(spread * Math.sqrt(columns)).toBeCloseTo(1, 0.7);
      expect(Math.abs(mean)).toBeLessThan(0.2 * spread);
      expect(weights.subarray(0, columns)).not.toEqual(weights.subarray(columns));
    }
  });
});

describe('the work of a step', () => {
  const workOf = async (key: keyof typeof SYNTHETIC_SHAPES, isSoftware: boolean): Promise<StepWork> => {
    const file = await readModelFile(syntheticModel(SYNTHETIC_SHAPES[key]));
    return new StepWork(file, readModelConfig(file), isSoftware);
  };
  const small = 30 * (960 * 576 + 576 * 576 + 3072 * 576 + 576 * 1536);
  const head = 49_152 * 576;
  const kvBytes = 30 * 2 * 192 * 4;

  test('all matrices but an embedding that is no head are read, with their scales', async () => {
    expect((await workOf('135m', false)).weightBytes).toBe((small * 5) / 8 + (head * 9) / 8);
    expect((await workOf('135m', true)).weightBytes).toBe((small * 6) / 8 + (head * 9) / 8);
    const large = 32 * (6144 * 4096 + 4096 * 4096 + 2 * 14_336 * 4096 + 4096 * 14_336);
    expect((await workOf('8b', false)).weightBytes).toBe((large * 5) / 8 + (128_256 * 4096 * 9) / 8);
  });

  test('a batch reads the weights once, and the keys and values of each sequence', async () => {
    const work = await workOf('135m', false);
    const attention = 2 * 30 * 576 * 100;
    expect(work.decodeStep(4, 100)).toEqual({
      bytes: work.weightBytes + 4 * 100 * kvBytes,
      macs: 4 * (small + head + attention),
    });
  });

  test('a prompt reads the weights and what is before each chunk once a chunk, and samples once', async () => {
    const work = await workOf('135m', false);
    expect(work.prefill(300, 128)).toEqual({
      bytes: 3 * ((small * 5) / 8) + (head * 9) / 8 + (128 + 256) * kvBytes,
      macs: 300 * small + head + 2 * 30 * 576 * (150 * 301),
    });
  });
});
