import { describe, expect, test } from 'vitest';
import { BufferPool } from '../../../src/gpu/buffers.ts';
import { countingDevice } from '../../../src/gpu/counting-device.ts';
import { readModelFile } from '../../../src/formats/gguf.ts';
import { packingOf } from '../../../src/kernels/matmul.ts';
import { readModelConfig } from '../../../src/models/architectures.ts';
import { type ReferenceMatrix, referencePlaces, ReferenceRows } from '../../../src/models/reference-rows.ts';
import { uploadWeights } from '../../../src/models/upload.ts';
import { planWeights } from '../../../src/models/weights.ts';
import type { MatrixLayout } from '../../../src/models/weights-planner.ts';
import { dequantise } from '../../../src/quant/dequantise.ts';
import type { GgmlType } from '../../support/ggml-blocks.ts';
import { writeGguf } from '../../support/gguf-writer.ts';
import { memorySource } from '../../support/gpu-runner.ts';
import { packedValue } from '../../support/packed-weights.ts';
import { tinyModelContents, type TinyModelOptions } from '../../support/tiny-model.ts';

// The models' planner names buffer usages, which only browsers have.
Object.assign(globalThis, { GPUBufferUsage: globalThis.GPUBufferUsage ?? { UNIFORM: 64, STORAGE: 128, COPY_DST: 8, COPY_SRC: 4 } });

const LAYOUT: MatrixLayout = { numerics: 'f32', wideScales: false, maxSlices: 1, maxBindingBytes: 2 ** 27 };

/** Small, with q, k and v in one matrix, and gate and up in one. */
const SHAPE = { hiddenSize: 64, intermediateSize: 128, numHeads: 4, numKvHeads: 4, headSize: 16, vocabSize: 300, numLayers: 2 } as const;

async function planned(options: TinyModelOptions, layout: Partial<MatrixLayout> = {}, rotated?: number) {
  const { metadata, tensors } = tinyModelContents({ ...SHAPE, ...options });
  const dimensions = rotated === undefined ? {} : { 'qwen2.rope.dimension_count': { type: 'u32', value: rotated } as const };
  const file = await readModelFile(memorySource(writeGguf({ metadata: { ...metadata, ...dimensions }, tensors })));
  const pool = new BufferPool(countingDevice({ maxBufferSize: 2 ** 27, maxStorageBufferBindingSize: 2 ** 27 }));
  const plan = planWeights(file, readModelConfig(file), pool, { ...LAYOUT, ...layout });
  return { ...plan, file, reference: new ReferenceRows(file.tensors, plan.destinations) };
}
type Planned = Awaited<ReturnType<typeof planned>>;

/** Uploads a model to a device that only remembers. Returns the rows that were kept, and the words of a buffer. */
async function uploaded({ file, destinations, reference }: Planned) {
  const memory = new Map<GPUBuffer, Uint8Array<ArrayBuffer>>();
  const bytesOf = (buffer: GPUBuffer): Uint8Array<ArrayBuffer> => {
    const bytes = memory.get(buffer) ?? new Uint8Array(buffer.size);
    memory.set(buffer, bytes);
    return bytes;
  };
  const writeBuffer = (buffer: GPUBuffer, at: number, data: ArrayBufferView): void =>
    bytesOf(buffer).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
  const queue = { writeBuffer, onSubmittedWorkDone: async () => undefined } as unknown as GPUQueue;
  await uploadWeights({ queue }, file, destinations, reference);
  return { matrices: reference.take(), wordsOf: (buffer: GPUBuffer) => new Uint32Array(bytesOf(buffer).buffer) };
}

const tensorsOf = ({ rows }: ReferenceMatrix): string[] => [...new Set(rows.map(({ tensor }) => tensor))];

describe('each row is the one at its place in the GPU’s buffer', () => {
  test.each<[string, TinyModelOptions, Partial<MatrixLayout>?, number?]>([
    ['several chunks of permuted rows', { type: 'F32', preset: 'qwen2', numLayers: 1, numHeads: 264 }],
    ['a mixture of formats', { type: 'mixed' }],
    ['permuted queries and keys', { type: 'Q4_0', preset: 'qwen3' }],
    ['words of bytes', { type: 'Q4_1', preset: 'qwen2' }, { numerics: 'dp4a' }],
    ['heads that are rotated in part', { type: 'Q8_0', preset: 'qwen2' }, {}, 8],
    ['padded rows and columns', { type: 'F16', intermediateSize: 172 }],
    ['matrices split for their bindings', { type: 'Q8_0', tied: false }, { maxBindingBytes: 5000 }],
  ])('%s', async (_, options, layout, rotated) => {
    const { matrices, wordsOf } = await uploaded(await planned(options, layout, rotated));
    for (const { matrix, rows } of matrices) {
      const [weights, scales] = [wordsOf(matrix.weights), wordsOf(matrix.scales)];
      for (const { type, bytes, row } of rows) {
        const { values } = dequantise(type, bytes);
        const packed = { type: type as GgmlType, columns: values.length, packing: packingOf(matrix), weights, scales };
        const wrong = [...values.keys()].filter((k) => Math.fround(packedValue(packed, row, k)) !== values[k]);
        expect(wrong).toEqual([]);
      }
    }
    expect(matrices.flatMap(({ rows }) => rows).length).toBeGreaterThanOrEqual(48);
  });
});

const ofLayer = (...names: string[]): string[] => names.map((name) => `blk.0.${name}.weight`);

test('one matrix of each class is kept, and of each tensor in it up to 16 rows', async () => {
  const model = await planned({ type: 'Q4_1', tied: true });
  const { matrices } = await uploaded(model);
  const kept = matrices.map((each) => [each.matrix.rows, each.matrix.columns, tensorsOf(each), each.rows.length]);
  expect(kept).toEqual([
    [300, 64, ['token_embd.weight'], 16],
    [192, 64, ofLayer('attn_q', 'attn_k', 'attn_v'), 48],
    [64, 64, ofLayer('attn_output'), 16],
    [256, 64, ofLayer('ffn_gate', 'ffn_up'), 32],
    [64, 128, ofLayer('ffn_down'), 16],
  ]);
  expect(matrices[0]?.matrix).toBe(model.weights.head[0]?.matrix); // tied embeddings are those of the head, too
});

test('formats are classes, and so are matrices of one size whose parts differ: a gate and an up beside a head', async () => {
  const sizes = { vocabSize: 384, intermediateSize: 192 } as const;
  const { matrices } = await uploaded(await planned({ ...sizes, type: 'mixed' }));
  const same = await uploaded(await planned({ ...sizes, type: 'Q8_0', tied: false }));
  const ofSize = (all: readonly ReferenceMatrix[]) => all.filter(({ matrix }) => matrix.rows === 384).map((each) => [each.matrix.format, tensorsOf(each)]);
  expect(ofSize(matrices)).toEqual([['int8', ['token_embd.weight']], ['int4', ofLayer('ffn_gate', 'ffn_up')]]);
  expect(ofSize(same.matrices)).toEqual([['int8', ['token_embd.weight']], ['int8', ['output.weight']], ['int8', ofLayer('ffn_gate', 'ffn_up')]]);
});

test('matrices of one size that different kernels multiply are classes, too: down projections, and the head beside the embedding', async () => {
  const { matrices } = await uploaded(await planned({ type: 'Q8_0', intermediateSize: 64, tied: false }));
  expect(matrices.map(tensorsOf)).toEqual(
    expect.arrayContaining([ofLayer('attn_output'), ofLayer('ffn_down'), ['token_embd.weight'], ['output.weight']]),
  );
});

test('all shards of one tensor that differ in size are kept', async () => {
  const { matrices } = await uploaded(await planned({ type: 'Q8_0' }, { maxBindingBytes: 5000 }));
  const ofEmbedding = matrices.filter((each) => tensorsOf(each).includes('token_embd.weight'));
  expect(ofEmbedding.map(({ matrix, rows }) => [matrix.rows, rows.length, rows.at(-1)?.row])).toEqual([[64, 16, 63], [44, 16, 43]]);
});

test('a gate has the rows that are multiplied by the kept rows of the up projection', async () => {
  const { matrices } = await uploaded(await planned({ type: 'Q4_1' }));
  const { rows } = matrices.find((each) => tensorsOf(each).includes('blk.0.ffn_gate.weight'))!;
  const [gates, ups] = [rows.slice(0, 16), rows.slice(16)];
  expect(ups.map(({ tensor, row }) => [tensor, row - 128])).toEqual(gates.map(({ row }) => ['blk.0.ffn_up.weight', row]));
});

test.each([1, 7, 20, 1000])('pieces of %i bytes, from the last to the first, give the same rows', async (size) => {
  const options = { preset: 'qwen3', type: 'Q4_1', numLayers: 1 } as const;
  const model = await planned(options);
  const whole = (await uploaded(await planned(options))).matrices;
  for (const { name, offset, byteLength } of model.file.tensors) {
    const bytes = await model.file.source.read(offset, byteLength);
    const starts = Array.from({ length: Math.ceil(byteLength / size) }, (_, i) => i * size);
    for (const start of starts.toReversed()) model.reference.keep(name, start, bytes.subarray(start, start + size));
  }
  expect(model.reference.take().map(({ rows }) => rows)).toEqual(whole.map(({ rows }) => rows));
});

test('bytes are copied, and handed over once; rows that were not read are an error', async () => {
  const { file, reference } = await planned({ type: 'Q8_0' });
  expect(() => reference.take()).toThrow(/row 0 of .* lacks 68 bytes/);
  for (const { name, byteLength } of file.tensors) {
    const bytes = new Uint8Array(byteLength).fill(1);
    reference.keep(name, 0, bytes);
    bytes.fill(2);
  }
  const matrices = reference.take();
  expect(matrices.flatMap(({ rows }) => rows).every(({ bytes }) => bytes.every((byte) => byte === 1))).toBe(true);
  expect(reference.take()).toEqual([]);
});

const LENGTHS = [...Array.from({ length: 400 }, (_, i) => i + 1), 576, 1536, 49152];

test('16 rows of a part, or all: first and last, both sides of tiles’ edges, every order of lanes, and whole pairs', () => {
  for (const length of LENGTHS) {
    const places = referencePlaces(length);
    expect(places).toEqual([...new Set(places)].toSorted((a, b) => a - b));
    expect(places.length).toBeGreaterThanOrEqual(Math.min(15, length));
    expect(places.length).toBeLessThanOrEqual(16);
    const lastTile = length - 1 - ((length - 1) % 64);
    const edges = [0, length - 1, lastTile, ...(length > 64 ? [63, 64, lastTile - 1] : [])];
    expect(places).toEqual(expect.arrayContaining(edges));
    expect(places.filter((place) => !places.includes(place ^ 1) && (place ^ 1) < length)).toEqual([]);
    if (length >= 64) expect(new Set(places.map((place) => (place >> 2) % 4)).size).toBe(4);
  }
});
