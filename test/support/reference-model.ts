/**
 * The forward pass of a `llama`, `qwen2` or `qwen3` model in float64, written to be read beside the papers (Touvron et al.
 * 2023; Qwen2 and Qwen3 Technical Reports) and to debug kernels with. Not for speed.
 */
import { dequantise, fromHalf, toHalf } from './ggml-blocks.ts';
import type { KvCacheDtype } from '../../src/core/kv-cache-dtype.ts';
import type { GgufContents } from './gguf-writer.ts';
import { quantiseReference } from './kernel-references.ts';

export interface ReferenceModel {
  /** Logits [position][vocabulary] of a sequence from its beginning. */
  logits(tokenIds: readonly number[]): Float64Array[];
  /**
   * The same, showing each intermediate value: `show('blk.0.attn_q', position, values)`. Names are those of the tensors
   * that make the values, and `embedding`, `blk.N.rope_q`, `blk.N.rope_k`, `blk.N.attention`, `blk.N.ffn_act`,
   * `blk.N.attn_residual`, `blk.N.ffn_residual`, `logits`.
   */
  trace(
    tokenIds: readonly number[],
    show: (name: string, position: number, values: Float64Array) => void,
  ): Float64Array[];
  /** Greedy ids continuing a prompt. */
  greedy(prompt: readonly number[], count: number): number[];
}

interface Matrix {
  readonly columns: number;
  readonly values: Float32Array;
}

/** From what `tinyModelContents` gives, or any such GGUF in those tensor types. */
export function createReferenceModel(contents: GgufContents, kvCacheDtype: KvCacheDtype = 'f32'): ReferenceModel {
  const run = createForward(contents, kvCacheDtype);
  const ignore = (): void => {};
  return {
    logits: (tokenIds) => sequence(run(ignore), tokenIds),
    trace: (tokenIds, show) => sequence(run(show), tokenIds),
    greedy(prompt, count) {
      const next = run(ignore);
      const ids: number[] = [];
      let logits = sequence(next, prompt).at(-1);
      while (logits !== undefined && ids.length < count) {
        const id = argmax(logits);
        ids.push(id);
        logits = next(id);
      }
      return ids;
    },
  };
}

function sequence(next: (id: number) => Float64Array, tokenIds: readonly number[]): Float64Array[] {
  return tokenIds.map((id) => next(id));
}

type Show = (name: string, position: number, values: Float64Array) => void;

/** Starts a sequence; each call of what it returns feeds one token and gives its logits. */
function createForward(contents: GgufContents, kvCacheDtype: KvCacheDtype): (show: Show) => (id: number) => Float64Array {
  const architecture = String(contents.metadata['general.architecture']?.value);
  const number = (key: string): number => {
    const value = contents.metadata[`${architecture}.${key}`]?.value;
    if (typeof value !== 'number') throw new Error(`no ${architecture}.${key}`);
    return value;
  };
  const tensors = new Map(
    contents.tensors.map(({ name, shape, type, data }): [string, Matrix] => {
      const length = shape.reduce((a, b) => a * b, 1);
      return [name, { columns: shape[0] ?? 0, values: dequantise(type, data, length) }];
    }),
  );
  const weight = (name: string): Matrix => {
    const found = tensors.get(`${name}.weight`);
    if (found === undefined) throw new Error(`no ${name}.weight`);
    return found;
  };
  const heads = number('attention.head_count');
  const kvHeads = number('attention.head_count_kv');
  const headSize = number('attention.key_length');
  const ropeSize = number('rope.dimension_count');
  const theta = number('rope.freq_base');
  const factors = tensors.get('rope_freqs.weight')?.values;
  const angles = Array.from({ length: ropeSize / 2 }, (_, i) => theta ** ((-2 * i) / ropeSize) / (factors?.[i] ?? 1));
  const isHalfSplit = architecture !== 'llama';
  const eps = Math.fround(number('attention.layer_norm_rms_epsilon'));
  const held = { f32: (x: Float64Array) => x, f16: throughHalf, int8: (x: Float64Array) => throughInt8(x, headSize) };
  const hold = held[kvCacheDtype];
  const layers = Array.from({ length: number('block_count') }, (_, i) => `blk.${i}`);
  const embedding = weight('token_embd');
  const head = tensors.get('output.weight') ?? embedding;

  return (show) => {
    const cache = layers.map(() => ({ keys: [] as Float64Array[], values: [] as Float64Array[] }));
    let position = -1;
    const shown = (name: string, values: Float64Array): Float64Array => {
      show(name, position, values);
      return values;
    };
    const project = (name: string, x: Float64Array): Float64Array => shown(name, matVec(weight(name), x));
    const normed = (name: string, x: Float64Array): Float64Array => shown(name, rmsNorm(x, weight(name), eps));
    const biased = (name: string, x: Float64Array): Float64Array => {
      const bias = tensors.get(`${name}.bias`);
      return bias === undefined ? project(name, x) : add(project(name, x), Float64Array.from(bias.values));
    };
    const rotated = (name: string, x: Float64Array): Float64Array => {
      const gain = tensors.get(`${name}_norm.weight`);
      const vectors = biased(name, x);
      const ready = gain === undefined ? vectors : eachHead(vectors, headSize, (head) => rmsNorm(head, gain, eps));
      return eachHead(ready, headSize, (head) => rope(head, angles, position, isHalfSplit));
    };
    return (id) => {
      position++;
      let x = shown('embedding', Float64Array.from(row(embedding, id)));
      layers.forEach((layer, i) => {
        const { keys, values } = cache[i] ?? { keys: [], values: [] };
        const h = normed(`${layer}.attn_norm`, x);
        const q = rotated(`${layer}.attn_q`, h);
        keys.push(hold(rotated(`${layer}.attn_k`, h)));
        values.push(hold(biased(`${layer}.attn_v`, h)));
        shown(`${layer}.rope_q`, q);
        shown(`${layer}.rope_k`, keys.at(-1) ?? q);
        const attended = shown(`${layer}.attention`, attention(q, keys, values, headSize, heads / kvHeads));
        x = shown(`${layer}.attn_residual`, add(x, project(`${layer}.attn_output`, attended)));
        const f = normed(`${layer}.ffn_norm`, x);
        const up = project(`${layer}.ffn_up`, f);
        const gated = project(`${layer}.ffn_gate`, f).map((g, j) => (g / (1 + Math.exp(-g))) * (up[j] ?? 0));
        x = shown(`${layer}.ffn_residual`, add(x, project(`${layer}.ffn_down`, shown(`${layer}.ffn_act`, gated))));
      });
      return shown('logits', matVec(head, normed('output_norm', x)));
    };
  };
}

function row({ columns, values }: Matrix, index: number): Float32Array {
  return values.subarray(index * columns, (index + 1) * columns);
}

function matVec(matrix: Matrix, x: Float64Array): Float64Array {
  return new Float64Array(matrix.values.length / matrix.columns).map((_, i) => dot(row(matrix, i), x));
}

function dot(a: Float32Array | Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

function add(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + (b[i] ?? 0));
}

function rmsNorm(x: Float64Array, { values }: Matrix, eps: number): Float64Array {
  const scale = 1 / Math.sqrt(dot(x, x) / x.length + eps);
  return x.map((value, i) => value * scale * (values[i] ?? 0));
}

function eachHead(x: Float64Array, headSize: number, change: (head: Float64Array) => Float64Array): Float64Array {
  const result = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += headSize) result.set(change(x.subarray(at, at + headSize)), at);
  return result;
}

/** Rotates a head's pairs by position times their angles: neighbours, llama's order in GGUF files, or halves. */
function rope(head: Float64Array, angles: readonly number[], position: number, isHalfSplit: boolean): Float64Array {
  const result = head.slice();
  for (const [i, angle] of angles.entries()) {
    const [first, second] = isHalfSplit ? [i, i + angles.length] : [2 * i, 2 * i + 1];
    const [x = NaN, y = NaN] = [head[first], head[second]];
    result[first] = x * Math.cos(position * angle) - y * Math.sin(position * angle);
    result[second] = x * Math.sin(position * angle) + y * Math.cos(position * angle);
  }
  return result;
}

/** Vectors as an f16 cache gives them back. */
function throughHalf(x: Float64Array): Float64Array {
  return x.map((value) => fromHalf(toHalf(value)));
}

/** Each head's vector as an INT8 cache gives it back. */
function throughInt8(x: Float64Array, headSize: number): Float64Array {
  const held = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += headSize) {
    const { steps, scale } = quantiseReference(Float32Array.from(x.subarray(at, at + headSize)));
    for (const [i, step] of steps.entries()) held[at + i] = step * scale;
  }
  return held;
}

/** softmax(q k / sqrt(headSize)) v, with `group` query heads sharing each KV head. */
function attention(
  q: Float64Array,
  keys: Float64Array[],
  values: Float64Array[],
  headSize: number,
  group: number,
): Float64Array {
  const out = new Float64Array(q.length);
  for (let head = 0; head * headSize < q.length; head++) {
    const slice = (vector: Float64Array, index: number): Float64Array =>
      vector.subarray(index * headSize, (index + 1) * headSize);
    const kvHead = Math.floor(head / group);
    const scores = keys.map((key) => dot(slice(q, head), slice(key, kvHead)) / Math.sqrt(headSize));
    const max = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - max));
    const total = weights.reduce((a, b) => a + b, 0);
    for (let i = 0; i < headSize; i++) {
      out[head * headSize + i] = values.reduce(
        (sum, v, t) => sum + ((weights[t] ?? 0) / total) * (slice(v, kvHead)[i] ?? 0),
        0,
      );
    }
  }
  return out;
}

function argmax(values: Float64Array): number {
  return values.reduce((best, value, i) => (value > (values[best] ?? -Infinity) ? i : best), 0);
}
