import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gguf } from '@huggingface/gguf';
import { describe, expect, it } from 'vitest';
import { dequantise, fromHalf, quantise, toHalf, type GgmlType } from '../../support/ggml-blocks.ts';
import { createRandom } from '../../support/random.ts';
import { TINY_SHAPES, tinyModel, tinyModelContents, type TinyPreset, type TinyShape } from '../../support/tiny-model.ts';

describe('half floats', () => {
  it('come back as the same bits', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = fromHalf(bits);
      if (!Number.isNaN(value) && bits !== 0x8000) expect(toHalf(value)).toBe(bits);
    }
  });

  it('round to nearest, ties to even', () => {
    expect(fromHalf(toHalf(2049))).toBe(2048);
    expect(fromHalf(toHalf(2051))).toBe(2052);
    expect(fromHalf(toHalf(65519))).toBe(65504);
    expect(fromHalf(toHalf(65520))).toBe(Infinity);
    expect(toHalf(2 ** -25)).toBe(0);
    expect(toHalf(1.1 * 2 ** -25)).toBe(1);
  });
});

describe('quantised blocks', () => {
  it.each([
    ['Q4_0', 18, 1 / 8],
    ['Q4_1', 20, 1 / 15],
    ['Q8_0', 34, 1 / 254],
    ['F32', 128, 0],
    ['F16', 64, 2 ** -12],
    ['BF16', 64, 2 ** -9],
  ] as const)('%s takes %i bytes and is off by no more than half a step', (type, bytes, error) => {
    const random = createRandom(5);
    const values = new Float32Array(320).map(() => random.uniform() * 2 - 1);
    const packed = quantise(type, values);
    expect(packed).toHaveLength(bytes * 10);
    const back = dequantise(type, packed, values.length);
    // Steps themselves are rounded to half floats, which the margin allows for.
    values.forEach((value, i) => expect(Math.abs(value - (back[i] ?? NaN))).toBeLessThanOrEqual(error * 1.01));
  });

  it.each(['Q4_0', 'Q4_1', 'Q8_0'] as const)('%s can hold zeros', (type) => {
    expect(dequantise(type, quantise(type, new Float32Array(32)), 32)).toEqual(new Float32Array(32));
  });
});

describe('tinyModel', () => {
  async function parse(bytes: Uint8Array): ReturnType<typeof gguf> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tabserve-'));
    fs.writeFileSync(path.join(folder, 'model.gguf'), bytes);
    return gguf(path.join(folder, 'model.gguf'), { allowLocalFile: true }).finally(() =>
      fs.rmSync(folder, { recursive: true }),
    );
  }

  it.each(Object.keys(TINY_SHAPES) as TinyPreset[])('%s is a GGUF file that a parser reads', async (preset) => {
    const type = preset === 'stories' ? 'F16' : 'mixed';
    const bytes = tinyModel({ preset, type });
    const { metadata, tensorInfos, tensorDataOffset } = await parse(bytes);
    const shape: TinyShape = TINY_SHAPES[preset];
    const { architecture } = shape;
    expect(metadata).toMatchObject({ 'general.architecture': architecture, [`${architecture}.block_count`]: shape.numLayers });
    expect(metadata).toHaveProperty(['tokenizer.ggml.tokens', 'length'], shape.vocabSize);
    const inLayers = shape.numLayers * { llama: 9, qwen2: 9 + 3, qwen3: 9 + 2 }[architecture];
    expect(tensorInfos).toHaveLength(inLayers + (shape.tied ? 2 : 3) + (shape.ropeFactors === true ? 1 : 0));
    const { tensors } = tinyModelContents({ preset, type });
    tensorInfos.forEach(({ name, offset, shape: size }, i) => {
      const tensor = tensors[i];
      expect([name, size.map(Number)]).toEqual([tensor?.name, tensor?.shape]);
      const at = Number(tensorDataOffset + offset);
      const data = tensor?.data ?? new Uint8Array();
      expect(Buffer.compare(bytes.subarray(at, at + data.length), data)).toBe(0);
    });
  });

  it.each<GgmlType | 'mixed'>(['Q4_0', 'Q4_1', 'Q8_0', 'F16', 'BF16', 'mixed'])('%s dequantised holds the same numbers', (type) => {
    const packed = tinyModelContents({ type }).tensors;
    const plain = tinyModelContents({ type, dequantised: true }).tensors;
    packed.forEach((tensor, i) => {
      const length = tensor.shape.reduce((a, b) => a * b, 1);
      const values = dequantise('F32', plain[i]?.data ?? new Uint8Array(), length);
      expect(values).toEqual(dequantise(tensor.type, tensor.data, length));
      expect(new Set(values).size).toBeGreaterThan(length < 100 ? 50 : 1000);
    });
  });

  it('is decided by its seed', () => {
    expect(tinyModel({ type: 'Q4_0', seed: 3 })).toEqual(tinyModel({ type: 'Q4_0', seed: 3 }));
    expect(tinyModel({ type: 'Q4_0', seed: 3 })).not.toEqual(tinyModel({ type: 'Q4_0', seed: 4 }));
  });
});
