import { bytes, string, tensor, u32, u64 } from '../formats/gguf-bytes.ts';

/** A GGUF header taken apart, so that each part can be wrong by itself. */
export interface Header {
  version: number;
  /** What the header claims, where that is not what there is. */
  tensorCount?: bigint;
  pairCount?: bigint;
  pairs: Pair[];
  tensors: Tensor[];
  /** Of the file behind the header. */
  dataBytes: number;
}

export interface Pair {
  key: string;
  /** A value's type id and bytes. */
  value: Value;
}

export interface Value {
  readonly type: number;
  readonly data: Uint8Array;
}

export interface Tensor {
  name: string;
  dims: bigint[];
  type: number;
  offset: bigint;
}

export const TYPE = { u8: 0, i8: 1, u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9, u64: 10, i64: 11, f64: 12 } as const;

export const text = (value: string): Value => ({ type: TYPE.string, data: string(value) });
export const uint = (value: number): Value => ({ type: TYPE.u32, data: u32(value) });
export const float = (value: number): Value => ({ type: TYPE.f32, data: new Uint8Array(Float32Array.of(value).buffer) });
export const flag = (value: boolean): Value => ({ type: TYPE.bool, data: Uint8Array.of(value ? 1 : 0) });
export const array = (type: number, items: readonly Uint8Array[], length = BigInt(items.length)): Value => ({
  type: TYPE.array,
  data: bytes(u32(type), u64(length), ...items),
});
export const texts = (values: readonly string[]): Value => array(TYPE.string, values.map(string));
export const ints = (values: readonly number[]): Value => array(TYPE.i32, values.map((value) => u32(value >>> 0)));
export const floats = (values: readonly number[]): Value => array(TYPE.f32, values.map((value) => float(value).data));

/** The header's bytes; what follows them is up to the reader. */
export function encodeHeader(header: Header): Uint8Array<ArrayBuffer> {
  const { pairs, tensors, version } = header;
  const { pairCount = BigInt(pairs.length), tensorCount = BigInt(tensors.length) } = header;
  return bytes(
    new TextEncoder().encode('GGUF'),
    u32(version),
    u64(tensorCount),
    u64(pairCount),
    ...pairs.map(({ key, value }) => bytes(string(key), u32(value.type), value.data)),
    ...tensors.map(({ name, dims, type, offset }) => tensor(name, dims, type, offset)),
  );
}

const BYTES = Array.from({ length: 256 }, (_, byte) => byte);
const TEMPLATE = "{% for m in messages %}{{ '<s>' + m['role'] + '\n' + m['content'] + '</s>' }}{% endfor %}";

/** GPT-2's characters for the bytes, as a vocabulary needs them. */
const isPrintable = (byte: number): boolean => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
const moved = BYTES.filter((byte) => !isPrintable(byte));
const BYTE_TOKENS = BYTES.map((byte) => String.fromCharCode(isPrintable(byte) ? byte : 256 + moved.indexOf(byte)));

const TOKENIZERS: Readonly<Record<'bpe' | 'spm', readonly Pair[]>> = {
  bpe: [
    { key: 'tokenizer.ggml.model', value: text('gpt2') },
    { key: 'tokenizer.ggml.pre', value: text('llama-bpe') },
    { key: 'tokenizer.ggml.tokens', value: texts(['<unk>', '<s>', '</s>', ...BYTE_TOKENS, 'he', 'll', 'hell', '<think>']) },
    { key: 'tokenizer.ggml.token_type', value: ints([2, 3, 3, ...BYTES.map(() => 1), 1, 1, 1, 4]) },
    { key: 'tokenizer.ggml.merges', value: texts(['h e', 'l l', 'he ll']) },
  ],
  spm: [
    { key: 'tokenizer.ggml.model', value: text('llama') },
    { key: 'tokenizer.ggml.tokens', value: texts(['<unk>', '<s>', '</s>', ...BYTES.map((b) => `<0x${b.toString(16).padStart(2, '0')}>`), '\u2581', 'h', 'e', '\u2581he']) },
    { key: 'tokenizer.ggml.token_type', value: ints([2, 3, 3, ...BYTES.map(() => 6), 1, 1, 1, 1]) },
    { key: 'tokenizer.ggml.scores', value: floats([0, 0, 0, ...BYTES.map(() => 0), -1, -2, -3, -4]) },
    { key: 'tokenizer.ggml.add_space_prefix', value: flag(true) },
  ],
};

export const ARCHITECTURES = ['llama', 'qwen2', 'qwen3'] as const;

/** What a layer of an architecture has beside llama's. */
const OWN_TENSORS: Readonly<Record<(typeof ARCHITECTURES)[number], readonly (readonly [name: string, length: number])[]>> = {
  llama: [],
  qwen2: [['attn_q.bias', 64], ['attn_k.bias', 32], ['attn_v.bias', 32]],
  qwen3: [['attn_q_norm.weight', 32], ['attn_k_norm.weight', 32]],
};

/** A small model that loads: two layers of 64, 263 tokens. */
export function soundHeader(tokenizer: 'bpe' | 'spm', architecture: (typeof ARCHITECTURES)[number] = 'llama'): Header {
  const sizes: [string, number][] = [
    ['context_length', 64], ['embedding_length', 64], ['block_count', 2], ['feed_forward_length', 96],
    ['attention.head_count', 2], ['attention.head_count_kv', 1], ['rope.dimension_count', 32],
  ];
  const tensors: Tensor[] = [];
  let offset = 0n;
  const add = (name: string, rows: number, columns: number): void => {
    const isVector = rows === 1;
    tensors.push({ name, dims: isVector ? [BigInt(columns)] : [BigInt(columns), BigInt(rows)], type: isVector ? 0 : 8, offset });
    const size = isVector ? columns * 4 : (rows * columns * 34) / 32;
    offset += BigInt(Math.ceil(size / 32) * 32);
  };
  add('token_embd.weight', 264, 64);
  for (const layer of ['blk.0.', 'blk.1.']) {
    for (const [name, rows, columns] of [['attn_norm', 1, 64], ['attn_q', 64, 64], ['attn_k', 32, 64], ['attn_v', 32, 64], ['attn_output', 64, 64], ['ffn_norm', 1, 64], ['ffn_gate', 96, 64], ['ffn_up', 96, 64], ['ffn_down', 64, 96]] as const) {
      add(`${layer}${name}.weight`, rows, columns);
    }
    for (const [name, length] of OWN_TENSORS[architecture]) add(`${layer}${name}`, 1, length);
  }
  add('output_norm.weight', 1, 64);
  if (architecture === 'llama') add('rope_freqs.weight', 1, 16);
  return {
    version: 3,
    pairs: [
      { key: 'general.architecture', value: text(architecture) },
      { key: 'general.name', value: text('small') },
      ...sizes.map(([key, value]) => ({ key: `${architecture}.${key}`, value: uint(value) })),
      { key: `${architecture}.attention.layer_norm_rms_epsilon`, value: float(1e-5) },
      { key: `${architecture}.rope.freq_base`, value: float(10_000) },
      ...TOKENIZERS[tokenizer].map((pair) => ({ ...pair })),
      { key: 'tokenizer.ggml.bos_token_id', value: uint(1) },
      { key: 'tokenizer.ggml.eos_token_id', value: uint(2) },
      { key: 'tokenizer.ggml.unknown_token_id', value: uint(0) },
      { key: 'tokenizer.ggml.add_bos_token', value: flag(true) },
      { key: 'tokenizer.chat_template', value: text(TEMPLATE) },
    ],
    tensors,
    dataBytes: Number(offset),
  };
}
