import { expect, test } from 'vitest';
import { TabserveError } from '../../src/core/errors.ts';
import { loadBytes } from '../support/gpu-runner.ts';
import { quantise } from '../support/ggml-blocks.ts';
import { type GgufContents, type GgufTensor, type GgufValue, writeGguf } from '../support/gguf-writer.ts';
import { tinyModel, tinyModelContents, type TinyPreset } from '../support/tiny-model.ts';

// From a file's bytes to the runner that refuses them: with a code, and with the words that tell what to do.

const CONTENTS = tinyModelContents({ preset: 'gqa3', type: 'Q4_1' });

function withMetadata(changes: Readonly<Record<string, GgufValue>>): GgufContents {
  return { ...CONTENTS, metadata: { ...CONTENTS.metadata, ...changes } };
}

/** The file with one tensor changed. */
function withTensor(name: string, change: Partial<GgufContents['tensors'][number]>): GgufContents {
  return {
    ...CONTENTS,
    tensors: CONTENTS.tensors.map((tensor) => (tensor.name === name ? { ...tensor, ...change } : tensor)),
  };
}

function tinyWithout(preset: TinyPreset, name: string): GgufContents {
  const contents = tinyModelContents({ preset, type: 'mixed' });
  return { ...contents, tensors: contents.tensors.filter((tensor) => tensor.name !== name) };
}

function withExtra(preset: TinyPreset, tensor: GgufTensor): GgufContents {
  const contents = tinyModelContents({ preset, type: 'mixed' });
  return { ...contents, tensors: [...contents.tensors, tensor] };
}

const u32 = (value: number): GgufValue => ({ type: 'u32', value });
const ones = (length: number): Uint8Array => quantise('F32', new Float32Array(length).fill(1));

const CASES: readonly (readonly [what: string, contents: GgufContents, code: string, words: readonly string[]])[] = [
  [
    'a quantised norm',
    withTensor('blk.0.attn_norm.weight', { type: 'Q8_0', data: quantise('Q8_0', new Float32Array(96).fill(1)) }),
    'unsupported_tensor',
    ['blk.0.attn_norm.weight', 'Q8_0', 'F16'],
  ],
  [
    'a tensor that a plain decoder does not use',
    {
      ...CONTENTS,
      tensors: [...CONTENTS.tensors, { name: 'blk.0.attn_q.bias', shape: [96], type: 'F32', data: ones(96) }],
    },
    'unsupported_tensor',
    ['blk.0.attn_q.bias', 'F32'],
  ],
  [
    'another architecture',
    withMetadata({ 'general.architecture': { type: 'string', value: 'mamba' } }),
    'unsupported_model',
    ['mamba', 'llama', 'qwen2', 'qwen3'],
  ],
  [
    'RoPE scaling',
    withMetadata({ 'llama.rope.scaling.type': { type: 'string', value: 'yarn' } }),
    'unsupported_model',
    ['RoPE', 'yarn'],
  ],
  [
    'linear RoPE scaling by less than nothing',
    withMetadata({ 'llama.rope.scaling.factor': { type: 'f32', value: -2 } }),
    'corrupt_model',
    ['RoPE', '-2'],
  ],
  [
    'a RoPE factor too few',
    { ...CONTENTS, tensors: [...CONTENTS.tensors, { name: 'rope_freqs.weight', shape: [15], type: 'F32', data: ones(15) }] },
    'corrupt_model',
    ['rope_freqs.weight', '[15]', '[16]'],
  ],
  ['a hidden size that is not the tensors’', withMetadata({ 'llama.embedding_length': u32(100) }), 'corrupt_model', ['96', '100']],
  ['heads that are no multiple of 4', withMetadata({ 'llama.attention.key_length': u32(30), 'llama.attention.value_length': u32(30) }), 'unsupported_model', ['30', 'multiples of 4']],
  [
    'layers of different sizes',
    withMetadata({ 'llama.feed_forward_length': { type: 'i32s', value: [160, 96] } }),
    'unsupported_model',
    ['feed_forward_length', '160', '96'],
  ],
  ['a mixture of experts', withMetadata({ 'llama.expert_count': u32(8) }), 'unsupported_model', ['experts']],
  [
    'shapes that contradict the metadata',
    withMetadata({ 'llama.attention.head_count_kv': u32(3) }),
    'corrupt_model',
    ['blk.0.attn_k.weight', '[32,96]', '[96,96]'],
  ],
  [
    'heads that do not share KV heads evenly',
    withMetadata({ 'llama.attention.head_count_kv': u32(2) }),
    'corrupt_model',
    ['3 heads', '2 KV heads'],
  ],
  [
    'more layers promised than there are',
    withMetadata({ 'llama.block_count': u32(3) }),
    'corrupt_model',
    ['blk.2.attn_q.weight'],
  ],
  [
    'a qwen2 model without biases',
    tinyWithout('qwen2', 'blk.1.attn_k.bias'),
    'corrupt_model',
    ['blk.1.attn_k.bias'],
  ],
  [
    'a qwen3 model with biases',
    withExtra('qwen3', { name: 'blk.0.attn_q.bias', shape: [192], type: 'F32', data: ones(192) }),
    'unsupported_tensor',
    ['blk.0.attn_q.bias', 'qwen3'],
  ],
  [
    'a missing tensor',
    { ...CONTENTS, tensors: CONTENTS.tensors.filter(({ name }) => name !== 'output_norm.weight') },
    'corrupt_model',
    ['output_norm.weight'],
  ],
];

test.each(CASES)('%s is refused', async (_what, contents, code, words) => {
  const error = await failure(() => loadBytes(writeGguf(contents)));
  expect(error).toMatchObject({ code });
  for (const word of words) expect(error.message).toContain(word);
});

test.each([
  { what: 'a type without a kernel', id: 6, words: ['Q5_0', 'Q4_1', 'BF16'] },
  { what: 'a type that GGUF has since learnt', id: 99, words: ['type 99'] },
])('a matrix of $what is refused', async ({ id, words }) => {
  const bytes = tinyModel({ preset: 'gqa3', type: 'Q8_0' });
  const name = 'blk.0.attn_q.weight';
  const at = new TextDecoder('latin1').decode(bytes).indexOf(name) + name.length;
  new DataView(bytes.buffer).setUint32(at + 4 + 2 * 8, id, true); // dimensions, shape, type
  const error = await failure(() => loadBytes(bytes));
  expect(error).toMatchObject({ code: 'unsupported_tensor' });
  for (const word of [name, ...words]) expect(error.message).toContain(word);
});

test.each([1, 1000])('a file cut short by %i bytes is refused before anything is uploaded', async (missing) => {
  const bytes = tinyModel({ preset: 'gqa3', type: 'Q4_1' });
  expect(await failure(() => loadBytes(bytes.slice(0, -missing)))).toMatchObject({ code: 'corrupt_model' });
});

test('a KV budget that holds no block, or not the context asked for, is refused with what it takes', async () => {
  const bytes = tinyModel({ preset: 'gqa3', type: 'Q4_1' });
  const blockBytes = 2 * 2 * 32 * 16 * 4; // layers, keys and values, head size, tokens, f32
  const none = await failure(() => loadBytes(bytes, { kvCacheBytes: blockBytes - 1 }));
  expect(none).toMatchObject({ code: 'invalid_request', param: 'kvCacheBytes' });
  const short = await failure(() => loadBytes(bytes, { kvCacheBytes: 12 * blockBytes, maxModelLen: 200 }));
  expect(short).toMatchObject({ code: 'invalid_request', param: 'kvCacheBytes' });
  for (const word of ['192 tokens', '200 tokens', String(13 * blockBytes)]) expect(short.message).toContain(word);
  const enough = await loadBytes(bytes, { kvCacheBytes: 13 * blockBytes, maxModelLen: 200 });
  expect(enough.scheduler).toMatchObject({ numBlocks: 13, maxModelLen: 200 });
  enough.destroy();
});

async function failure(load: () => Promise<{ destroy(): void }>): Promise<TabserveError> {
  const outcome = await load().catch((error: unknown) => error);
  if (outcome instanceof TabserveError) return outcome;
  throw new Error(`no TabserveError, but ${String(outcome)}`);
}
