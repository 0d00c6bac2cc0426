import { expect, test } from 'vitest';
import { runSync } from '../../../src/core/cooperative-task.ts';
import { rotationTable } from '../../../src/kernels/rope-kv-write.ts';
import { readModelFile } from '../../../src/formats/gguf.ts';
import { readModelConfig } from '../../../src/models/architectures.ts';
import { memorySource } from '../../support/gpu-runner.ts';
import { type GgufValue, writeGguf } from '../../support/gguf-writer.ts';
import { tinyModelContents, type TinyPreset } from '../../support/tiny-model.ts';

async function configOf(preset: TinyPreset, changes: Readonly<Record<string, GgufValue | undefined>> = {}) {
  const contents = tinyModelContents({ preset, type: 'Q8_0' });
  const entries = Object.entries({ ...contents.metadata, ...changes });
  const metadata = Object.fromEntries(entries.flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const])));
  return readModelConfig(await readModelFile(memorySource(writeGguf({ ...contents, metadata }))));
}

const f32 = (value: number): GgufValue => ({ type: 'f32', value });
const text = (value: string): GgufValue => ({ type: 'string', value });

test('what sets the architectures apart', async () => {
  const plain = { ropeScalingFactor: 1, qkvBias: false, qkNorm: false };
  expect(await configOf('gqa3')).toMatchObject({ ...plain, ropeStyle: 'interleaved', ropeFactors: true });
  expect(await configOf('qwen2')).toMatchObject({ ...plain, ropeStyle: 'half-split', ropeFactors: false, qkvBias: true });
  expect(await configOf('qwen3')).toMatchObject({ ...plain, ropeStyle: 'half-split', ropeFactors: false, qkNorm: true });
});

test('without a size of its own a head has its share of the hidden elements', async () => {
  const changes = { 'qwen2.attention.key_length': undefined, 'qwen2.rope.dimension_count': undefined, 'qwen2.attention.value_length': undefined };
  expect(await configOf('qwen2', changes)).toMatchObject({ headSize: 32, ropeDimensions: 32 });
  expect(await configOf('qwen3')).toMatchObject({ hiddenSize: 96, numHeads: 4, headSize: 48 });
});

test.each<readonly [what: string, changes: Readonly<Record<string, GgufValue>>, factor: number]>([
  ['none', { 'llama.rope.scaling.type': text('none'), 'llama.rope.scaling.factor': f32(4) }, 1],
  ['linear', { 'llama.rope.scaling.type': text('linear'), 'llama.rope.scaling.factor': f32(4) }, 4],
  ['linear, where a file names no type', { 'llama.rope.scaling.factor': f32(2.5) }, 2.5],
  ['linear, by its older name', { 'llama.rope.scale_linear': f32(8) }, 8],
  ['none, where the factor is 0, as llama.cpp reads it', { 'llama.rope.scaling.factor': f32(0) }, 1],
  ['none, where the older factor is 0', { 'llama.rope.scale_linear': f32(0) }, 1],
  ['none, where there is a type with a factor of 0', { 'llama.rope.scaling.type': text('linear'), 'llama.rope.scaling.factor': f32(0) }, 1],
])('RoPE scaling: %s', async (_what, changes, factor) => {
  expect(await configOf('gqa3', changes)).toMatchObject({ ropeScalingFactor: factor });
});

test.each([-2, NaN, Infinity])('a RoPE factor of %d is refused', async (factor) => {
  const failure = configOf('gqa3', { 'llama.rope.scaling.factor': f32(factor) });
  await expect(failure).rejects.toMatchObject({ code: 'corrupt_model', message: expect.stringContaining('RoPE') });
});

const PER_LAYER = [['attention.head_count', 'numHeads', 3], ['attention.head_count_kv', 'numKvHeads', 1], ['feed_forward_length', 'intermediateSize', 160]] as const;

test.each(PER_LAYER)('%s for each layer: read where all are alike, else refused by its name', async (key, field, size) => {
  const given = (sizes: readonly number[]) => configOf('gqa3', { [`llama.${key}`]: { type: 'i32s', value: sizes } });
  expect(await given([size, size])).toMatchObject({ [field]: size });
  await expect(given([size, 2 * size])).rejects.toMatchObject({ code: 'unsupported_model', message: expect.stringContaining(`${key}': ${size} in layer 0, ${2 * size} in layer 1`) });
  for (const sizes of [[], [size], [size, size, size]]) {
    await expect(given(sizes)).rejects.toMatchObject({ code: 'corrupt_model', message: expect.stringContaining(`${sizes.length} sizes for 2 layers`) });
  }
});

test('a name that is no text is the architecture’s', async () => {
  expect(await configOf('gqa3', { 'general.name': f32(7) })).toMatchObject({ name: 'llama' });
});

test.each(['yarn', 'longrope'])('RoPE scaling of type %s is refused', async (type) => {
  const failure = configOf('gqa3', { 'llama.rope.scaling.type': text(type) });
  await expect(failure).rejects.toMatchObject({ code: 'unsupported_model', message: expect.stringMatching(`${type}.*linear`) });
});

test('angles of a long context come in short turns, and are the same', () => {
  const [positions, dimensions, theta] = [10_000, 4, 500];
  const turns = [...rotationTable(positions, dimensions, theta)];
  expect(turns).toHaveLength((dimensions / 2) * 3); // of 4,096 angles at most
  const table = runSync(rotationTable(positions, dimensions, theta));
  for (const position of [0, 4095, 4096, 8191, 8192, 9999]) {
    const expected = [position, position * theta ** -0.5].flatMap((angle) => [Math.cos(angle), Math.sin(angle)]);
    expect([...table.subarray(4 * position, 4 * position + 4)]).toEqual(expected.map((value) => Math.fround(value)));
  }
});

test('angles are divided by the factor of all and by that of each pair', () => {
  const [positions, dimensions, theta] = [7, 8, 500];
  const factors = [1, 1.5, 4, 8];
  const table = runSync(rotationTable(positions, dimensions, theta, { factor: 2, factors }));
  for (let position = 0; position < positions; position++) {
    for (const [i, factor] of factors.entries()) {
      const angle = (position / 2) * theta ** ((-2 * i) / dimensions) / factor;
      const at = 2 * (position * factors.length + i);
      expect(table[at]).toBeCloseTo(Math.cos(angle), 6);
      expect(table[at + 1]).toBeCloseTo(Math.sin(angle), 6);
    }
  }
});
