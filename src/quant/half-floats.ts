/** Every half float by its 16 bits: its value, and its bits as an f32. */
export interface HalfFloats {
  readonly values: Float32Array;
  readonly bits: Uint32Array;
}

let allHalfFloats: HalfFloats | undefined;

/** The table is built once, since a model has millions of scales. */
export function halfFloats(): HalfFloats {
  if (allHalfFloats === undefined) {
    const values = Float32Array.from({ length: 0x10000 }, (_, bits) => float16(bits));
    allHalfFloats = { values, bits: new Uint32Array(values.buffer) };
  }
  return allHalfFloats;
}

function float16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa ? NaN : sign * Infinity;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}
