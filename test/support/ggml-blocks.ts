import { BLOCK, BLOCK_BYTES, byteLength, type GgmlFloat, type GgmlType, isFloat, toHalf } from '../../demo/bench/models/ggml-types.ts';

export * from '../../demo/bench/models/ggml-types.ts';

const floatBits = new DataView(new ArrayBuffer(4));

export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15));
}

/** The upper half of a number's f32 bits, rounded to nearest, ties to even. */
export function toBfloat(value: number): number {
  floatBits.setFloat32(0, value);
  const bits = floatBits.getUint32(0);
  if (Number.isNaN(value)) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

export function fromBfloat(bits: number): number {
  floatBits.setUint32(0, bits << 16);
  return floatBits.getFloat32(0);
}

/** A float at an index. */
export function readFloat(type: GgmlFloat, view: DataView, index: number): number {
  if (type === 'F32') return view.getFloat32(4 * index, true);
  return (type === 'F16' ? fromHalf : fromBfloat)(view.getUint16(2 * index, true));
}

/** Writes values as ggml blocks of a type. `values.length` must be a multiple of 32 unless they are floats. */
export function quantise(type: GgmlType, values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(byteLength(type, values.length));
  const view = new DataView(bytes.buffer);
  if (isFloat(type)) {
    values.forEach((value, i) => {
      if (type === 'F32') view.setFloat32(i * 4, value, true);
      else view.setUint16(i * 2, (type === 'F16' ? toHalf : toBfloat)(value), true);
    });
    return bytes;
  }
  for (let block = 0; block < values.length / BLOCK; block++) {
    const x = values.subarray(block * BLOCK, (block + 1) * BLOCK);
    const at = block * BLOCK_BYTES[type];
    if (type === 'Q8_0') quantiseQ8(view, at, x);
    else quantiseQ4(view, at, x, type);
  }
  return bytes;
}

/** Scale, then 32 signed bytes. */
function quantiseQ8(view: DataView, at: number, x: Float32Array): void {
  const scale = x.reduce((max, v) => Math.max(max, Math.abs(v)), 0) / 127;
  view.setUint16(at, toHalf(scale), true);
  x.forEach((v, i) => view.setInt8(at + 2 + i, scale === 0 ? 0 : Math.round(v / scale)));
}

/**
 * Scale [and min], then 16 bytes: elements 0-15 in the low halves, 16-31 in the high halves. Q4_0 stands for
 * `scale * (q - 8)` and gives its extreme value exactly -8 or 8 steps; Q4_1 for `scale * q + min`.
 */
function quantiseQ4(view: DataView, at: number, x: Float32Array, type: 'Q4_0' | 'Q4_1'): void {
  const extreme = x.reduce((best, v) => (Math.abs(v) > Math.abs(best) ? v : best), 0);
  const min = type === 'Q4_0' ? 0 : x.reduce((best, v) => Math.min(best, v), Infinity);
  const max = x.reduce((best, v) => Math.max(best, v), -Infinity);
  const scale = type === 'Q4_0' ? extreme / -8 : (max - min) / 15;
  const offset = type === 'Q4_0' ? 8 : 0;
  view.setUint16(at, toHalf(scale), true);
  if (type === 'Q4_1') view.setUint16(at + 2, toHalf(min), true);
  const first = at + (type === 'Q4_0' ? 2 : 4);
  const q = (v: number): number =>
    scale === 0 ? offset : Math.min(15, Math.max(0, Math.floor((v - min) / scale + offset + 0.5)));
  for (let i = 0; i < 16; i++) view.setUint8(first + i, q(x[i] ?? 0) | (q(x[i + 16] ?? 0) << 4));
}

/** The numbers that ggml blocks stand for. */
export function dequantise(type: GgmlType, bytes: Uint8Array, length: number): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array(length);
  if (isFloat(type)) return values.map((_, i) => readFloat(type, view, i));
  const header = type === 'Q4_1' ? 4 : 2;
  for (let block = 0; block < length / BLOCK; block++) {
    const at = block * BLOCK_BYTES[type];
    const scale = fromHalf(view.getUint16(at, true));
    const min = type === 'Q4_1' ? fromHalf(view.getUint16(at + 2, true)) : type === 'Q4_0' ? -8 * scale : 0;
    for (let i = 0; i < BLOCK; i++) {
      const packed = type === 'Q8_0' ? 0 : view.getUint8(at + header + (i % 16));
      const q = type === 'Q8_0' ? view.getInt8(at + header + i) : i < 16 ? packed & 15 : packed >> 4;
      values[block * BLOCK + i] = q * scale + min;
    }
  }
  return values;
}
