/** The tensor types of the models of random weights, with ggml's numbers for them. */
export const GGML_TYPE = { F32: 0, F16: 1, Q4_0: 2, Q4_1: 3, Q8_0: 8, BF16: 30 } as const;
export type GgmlType = keyof typeof GGML_TYPE;
/** Those that are floats. */
export type GgmlFloat = 'F32' | 'F16' | 'BF16';

/** Elements a quantised block holds. */
export const BLOCK = 32;

/** Bytes of a block: f16 scale [and f16 min], then 4-bit or 8-bit quants. For floats: of as many elements. */
export const BLOCK_BYTES: Readonly<Record<GgmlType, number>> = { F32: 128, F16: 64, BF16: 64, Q4_0: 18, Q4_1: 20, Q8_0: 34 };

export function isFloat(type: GgmlType): type is GgmlFloat {
  return type === 'F32' || type === 'F16' || type === 'BF16';
}

/** Bytes that `length` elements take. */
export function byteLength(type: GgmlType, length: number): number {
  if (isFloat(type)) return (length / BLOCK) * BLOCK_BYTES[type];
  if (length % BLOCK !== 0) throw new Error(`${type}: ${length} elements are no multiple of ${BLOCK}`);
  return (length / BLOCK) * BLOCK_BYTES[type];
}

const floatBits = new DataView(new ArrayBuffer(4));

/** IEEE 754 binary16 bits of a number, rounded to nearest, ties to even. */
export function toHalf(value: number): number {
  floatBits.setFloat32(0, value);
  const bits = floatBits.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = Math.abs(Math.fround(value));
  if (Number.isNaN(magnitude)) return sign | 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | roundToEven(magnitude * 2 ** 24);
  const exponent = ((bits >>> 23) & 0xff) - 127;
  // The mantissa may round up to 2048: the carry into the exponent is then exactly what is meant.
  return sign | (((exponent + 14) << 10) + roundToEven(magnitude * 2 ** (10 - exponent)));
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
