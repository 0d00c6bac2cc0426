// The default model as ONNX, for ONNX Runtime's own operators: GroupQueryAttention with RoPE, RMSNorm with the residual's
// sum, and one of
//   q4    MatMulNBits of 4 bits, symmetric, blocks of 32: the nearest to the GGUF's numbers, which it cannot all hold
//   q8    MatMulNBits of 8 bits, blocks of 32: the very numbers of the Q8_0 twin
//   int8  DynamicQuantizeMatMul: 8 bits with one scale a row, and activations rounded to 8 bits
// The output matrix, which is Q8_0 in the GGUF, is q8 where the others are q4.
import { existsSync, openSync, closeSync, readSync, renameSync, writeFileSync } from 'node:fs';
import { readGgufHeader } from '../oracle/gguf-file.mjs';
import { importTypeScript } from '../oracle/typescript.mjs';
import { OnnxWriter } from './onnx-file.mjs';

const BLOCK = 32;

/** Writes the model to `target` unless it is there; `kind`: as above. */
export async function makeOnnx(source, target, kind) {
  if (existsSync(target)) return;
  const { plain, tensors } = await readGgufHeader(source);
  const blocks = await importTypeScript('test/support/ggml-blocks.ts');
  const file = openSync(source, 'r');
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  /** A tensor's numbers, its shape with the rows first, and the type that they came in. */
  const read = (name) => {
    const { shape, type, start } = byName.get(name);
    const length = shape.reduce((a, b) => a * b, 1);
    const bytes = new Uint8Array(blocks.byteLength(type, length));
    readSync(file, bytes, 0, bytes.length, start);
    return { values: blocks.dequantise(type, bytes, length), shape: shape.toReversed(), type };
  };
  const writer = new OnnxWriter();
  writeDecoder(new Builder(writer, read, blocks, kind), shapeOf(plain));
  closeSync(file);
  writeFileSync(`${target}.part`, await writer.bytes());
  renameSync(`${target}.part`, target);
}

function shapeOf(metadata) {
  const get = (key) => Number(metadata[`llama.${key}`]);
  return {
    layers: get('block_count'),
    heads: get('attention.head_count'),
    kvHeads: get('attention.head_count_kv'),
    headSize: get('embedding_length') / get('attention.head_count'),
    ropeBase: get('rope.freq_base'),
    epsilon: get('attention.layer_norm_rms_epsilon'),
    // No request of the bench is longer.
    maxLength: 2048,
  };
}

class Builder {
  constructor(writer, read, blocks, kind) {
    Object.assign(this, { writer, read, blocks, kind });
  }

  floats(name) {
    const { values, shape } = this.read(name);
    return this.writer.tensor(name, 'float', shape, values);
  }

  /** `x` times a matrix of the GGUF; `heads`: its rows are those of RoPE's pairs, which ONNX Runtime has in other places. */
  matmul(x, name, heads) {
    const { values, shape, type } = this.read(name);
    const [rows, columns] = shape;
    const ordered = heads === undefined ? values : inHalves(values, rows, columns, heads);
    if (this.kind === 'int8') return this.#dynamic(x, name, ordered, rows, columns);
    const bits = this.kind === 'q8' || type === 'Q8_0' ? 8 : 4;
    const { quants, scales } = quantiseFor(this.blocks, bits, ordered);
    const perRow = columns / BLOCK;
    const b = this.writer.tensor(`${name}.quants`, 'uint8', [rows, perRow, (BLOCK * bits) / 8], quants);
    const s = this.writer.tensor(`${name}.scales`, 'float', [rows * perRow], scales);
    const attributes = { K: columns, N: rows, bits, block_size: BLOCK };
    return this.writer.node('com.microsoft:MatMulNBits', [x, b, s], [`${name}.out`], attributes)[0];
  }

  #dynamic(x, name, values, rows, columns) {
    const scales = new Float32Array(rows);
    const quants = new Int8Array(values.length); // a column for each of the GGUF's rows
    for (let row = 0; row < rows; row++) {
      const own = values.subarray(row * columns, (row + 1) * columns);
      scales[row] = own.reduce((max, v) => Math.max(max, Math.abs(v)), 0) / 127;
      own.forEach((v, i) => (quants[i * rows + row] = Math.round(v / scales[row])));
    }
    const b = this.writer.tensor(`${name}.quants`, 'int8', [columns, rows], quants);
    const s = this.writer.tensor(`${name}.scales`, 'float', [rows], scales);
    return this.writer.node('com.microsoft:DynamicQuantizeMatMul', [x, b, s], [`${name}.out`])[0];
  }
}

/** Blocks as MatMulNBits has them: unsigned, around 8 or 128, and of two 4-bit numbers the first in the low half. */
export function quantiseFor(blocks, bits, values) {
  const type = bits === 4 ? 'Q4_0' : 'Q8_0';
  const bytes = blocks.quantise(type, values);
  const view = new DataView(bytes.buffer);
  const count = values.length / BLOCK;
  const blockBytes = blocks.BLOCK_BYTES[type];
  const scales = new Float32Array(count);
  const quants = new Uint8Array((values.length * bits) / 8);
  for (let block = 0; block < count; block++) {
    const at = block * blockBytes;
    scales[block] = blocks.fromHalf(view.getUint16(at, true));
    if (bits === 8) {
      for (let i = 0; i < BLOCK; i++) quants[block * BLOCK + i] = view.getInt8(at + 2 + i) + 128;
      continue;
    }
    // ggml: elements 0-15 in the low halves, 16-31 in the high ones.
    const q = (i) => (i < 16 ? bytes[at + 2 + i] & 15 : bytes[at + 2 + i - 16] >> 4);
    for (let i = 0; i < 16; i++) quants[block * 16 + i] = q(2 * i) | (q(2 * i + 1) << 4);
  }
  return { quants, scales };
}

/** GGUF has RoPE's pairs side by side; here the first of all pairs come before the second. */
export function inHalves(values, rows, columns, heads) {
  const half = rows / heads / 2;
  const ordered = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const [head, within] = [Math.floor(row / (2 * half)), row % (2 * half)];
    const from = head * 2 * half + (within % half) * 2 + Math.floor(within / half);
    ordered.set(values.subarray(from * columns, (from + 1) * columns), row * columns);
  }
  return ordered;
}

function writeDecoder(builder, shape) {
  const { writer } = builder;
  const { layers, kvHeads, headSize, epsilon } = shape;
  const ids = writer.input('input_ids', 'int32', [1, 'sequence']);
  const lengths = [writer.input('seqlens_k', 'int32', [1]), writer.input('total_sequence_length', 'int32', [])];
  const tables = ropeTables(writer, shape);
  let [sum] = writer.node('Gather', [builder.floats('token_embd.weight'), ids], ['embedded']);
  const first = [sum, builder.floats('blk.0.attn_norm.weight')];
  let [normed] = writer.node('SimplifiedLayerNormalization', first, ['normed'], { axis: -1, epsilon: { f: epsilon } });
  for (let layer = 0; layer < layers; layer++) {
    const past = ['key', 'value'].map((kind) => {
      return writer.input(`past.${layer}.${kind}`, 'float', [1, kvHeads, 'past', headSize]);
    });
    const attended = attention(builder, shape, layer, normed, [...past, ...lengths, ...tables]);
    [normed, sum] = addAndNorm(builder, attended, sum, `blk.${layer}.ffn_norm.weight`, epsilon);
    const fed = feedForward(builder, layer, normed);
    const next = layer + 1 === layers ? 'output_norm.weight' : `blk.${layer + 1}.attn_norm.weight`;
    [normed, sum] = addAndNorm(builder, fed, sum, next, epsilon);
  }
  const last = writer.tensor('last', 'int64', [1], new BigInt64Array([-1n]));
  const [state] = writer.node('Gather', [normed, last], ['last_state'], { axis: 1 });
  writer.node('ArgMax', [builder.matmul(state, 'token_embd.weight')], ['next_id'], { axis: -1, keepdims: 0 });
  writer.output('next_id', 'int64', [1, 1]);
}

function attention(builder, { heads, kvHeads, headSize }, layer, x, more) {
  const { writer } = builder;
  const name = `blk.${layer}.attn`;
  const q = builder.matmul(x, `${name}_q.weight`, heads);
  const k = builder.matmul(x, `${name}_k.weight`, kvHeads);
  const v = builder.matmul(x, `${name}_v.weight`);
  const outputs = [`${name}.out`, `present.${layer}.key`, `present.${layer}.value`];
  const attributes = { num_heads: heads, kv_num_heads: kvHeads, do_rotary: 1 };
  writer.node('com.microsoft:GroupQueryAttention', [q, k, v, ...more], outputs, attributes);
  for (const present of outputs.slice(1)) writer.output(present, 'float', [1, kvHeads, 'total', headSize]);
  return builder.matmul(outputs[0], `${name}_output.weight`);
}

function feedForward(builder, layer, x) {
  const { writer } = builder;
  const name = `blk.${layer}.ffn`;
  const gate = builder.matmul(x, `${name}_gate.weight`);
  const up = builder.matmul(x, `${name}_up.weight`);
  const [sigmoid] = writer.node('Sigmoid', [gate], [`${name}.sigmoid`]);
  const [silu] = writer.node('Mul', [gate, sigmoid], [`${name}.silu`]);
  const [product] = writer.node('Mul', [silu, up], [`${name}.product`]);
  return builder.matmul(product, `${name}_down.weight`);
}

/** The norm of a sum, and the sum. */
function addAndNorm(builder, x, residual, norm, epsilon) {
  const outputs = [`${norm}.normed`, '', '', `${norm}.sum`];
  const inputs = [x, residual, builder.floats(norm)];
  builder.writer.node('com.microsoft:SkipSimplifiedLayerNormalization', inputs, outputs, { epsilon: { f: epsilon } });
  return [outputs[0], outputs[3]];
}

function ropeTables(writer, { headSize, ropeBase, maxLength }) {
  const half = headSize / 2;
  return ['cos', 'sin'].map((kind) => {
    const table = Float32Array.from({ length: maxLength * half }, (_, i) => {
      return Math[kind](Math.floor(i / half) * ropeBase ** (-(i % half) / half));
    });
    return writer.tensor(kind, 'float', [maxLength, half], table);
  });
}
