import { halfFloats } from './half-floats.ts';
import { type FloatFormat, GROUP_SIZE, packedWords, paddedSize, TILE_ROWS } from './packed-layout.ts';

const FLOAT_TYPES: Readonly<Record<string, FloatFormat>> = { F16: 'f16', BF16: 'bf16', F32: 'f32' };

/** The GGUF types of floats. */
export const FLOAT_TYPE_NAMES = Object.keys(FLOAT_TYPES);

/** The format of a GGUF type, or undefined where it is not a float. */
export function floatFormatOf(ggufType: string): FloatFormat | undefined {
  return FLOAT_TYPES[ggufType];
}

/** Bytes of one element. */
export function floatBytes(format: FloatFormat): number {
  return format === 'f32' ? 4 : 2;
}

/** Floats of a GGUF type as f32, without rounding. */
export function widenFloats(format: FloatFormat, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const wide = new Float32Array(bytes.byteLength / floatBytes(format));
  const bits = new Uint32Array(wide.buffer);
  const halves = halfFloats().bits;
  for (let i = 0; i < bits.length; i++) {
    if (format === 'f32') bits[i] = view.getUint32(4 * i, true);
    else if (format === 'bf16') bits[i] = view.getUint16(2 * i, true) << 16;
    else bits[i] = halves[view.getUint16(2 * i, true)] ?? 0;
  }
  return wide;
}

/**
 * Repacks whole rows of floats, bit for bit: weights `[tile][k / word][lane][row of the lane]`. A word holds 2
 * neighbouring k (f16, bf16) or one. Rows missing from the last tile are zero, and so are columns that pad k to a
 * multiple of 32.
 *
 * @param targetRow the row of the tiles for a source row
 */
export function repackFloats(
  format: FloatFormat,
  bytes: Uint8Array,
  rows: number,
  columns: number,
  targetRow: (row: number) => number,
): Uint32Array<ArrayBuffer> {
  const weights = new Uint32Array(packedWords(format, rows, columns));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const quadBytes = 4 * floatBytes(format);
  const tileGroups = paddedSize(columns) / GROUP_SIZE;
  const rowBytes = columns * floatBytes(format);
  const wholeQuads = Math.floor(columns / 4);
  // The last quad of a row may lack up to three floats, which are zero.
  const rest = rowBytes - wholeQuads * quadBytes;
  const last = new Uint8Array(quadBytes);
  const lastView = new DataView(last.buffer);
  for (let row = 0; row < rows; row++) {
    const to = targetRow(row);
    const tileRow = to % TILE_ROWS;
    const order = (tileRow >> 2) & 3; // of the lane, see shaders/README.md
    // A quad takes as many words as a float has bytes.
    const first = Math.floor(to / TILE_ROWS) * tileGroups * 2 * quadBytes * TILE_ROWS + tileRow;
    const start = row * rowBytes;
    for (let quad = 0; quad < wholeQuads; quad++) {
      putQuad(weights, first + (quad * quadBytes * TILE_ROWS) / 4, view, start + quad * quadBytes, format, order);
    }
    if (rest > 0) {
      const at = start + wholeQuads * quadBytes;
      last.set(bytes.subarray(at, at + rest));
      putQuad(weights, first + (wholeQuads * quadBytes * TILE_ROWS) / 4, lastView, 0, format, order);
    }
  }
  return weights;
}

/** Writes 4 neighbouring k. Element i goes to position i ^ order. */
function putQuad(weights: Uint32Array, to: number, view: DataView, at: number, format: FloatFormat, order: number): void {
  if (format === 'f32') {
    for (let i = 0; i < 4; i++) weights[to + (i ^ order) * TILE_ROWS] = view.getUint32(at + 4 * i, true);
    return;
  }
  for (let pair = 0; pair < 2; pair++) {
    const word = view.getUint32(at + 4 * pair, true);
    const swapped = order & 1 ? (word << 16) | (word >>> 16) : word;
    weights[to + (pair ^ (order >> 1)) * TILE_ROWS] = swapped;
  }
}
