import { TabserveError } from '../core/errors.ts';
import { halfFloats } from './half-floats.ts';
import { GROUP_SIZE, type PackedFormat, packedWords, scaleWords, TILE_ROWS } from './packed-layout.ts';
import { FLOAT_TYPE_NAMES, floatBytes, floatFormatOf, repackFloats } from './repack-floats.ts';

/**
 * The order of weights within a word: `quads` for products in f32, `bytes` for kernels that take four bytes, or pairs
 * of halves, at once. See shaders/README.md.
 */
export type Packing = 'quads' | 'bytes';

/** The bits of a packed word. */
const PACKING = {
  // The top nibble, and the three lower bytes, have a bias that saves the kernels shifts: see shaders/quant/.
  int4: { bits: 4, bias: 0x80000000 },
  int8: { bits: 8, bias: 0x00808080 },
} as const;

/** Converts a word of neighbouring weights, k ascending from the lowest bits, to the form that lane `lane` reads. */
function packer(format: QuantisedFormat, packing: Packing, lane: number): (word: number) => number {
  if (packing === 'bytes') {
    return format === 'int4' ? (word) => spreadNibbles(word) | (spreadNibbles(word >>> 16) << 4) : (word) => word;
  }
  const { bits, bias } = PACKING[format];
  const order = lane & 3;
  return (word) => reorder(word, bits, order) ^ bias;
}

type QuantisedFormat = 'int4' | 'int8';

/** How to read one quantised GGUF type. A block is 32 neighbouring weights of a row. */
interface SourceFormat {
  readonly packed: QuantisedFormat;
  readonly blockBytes: number;
  /** Writes the block at `at` to `words`, k ascending from the lowest bits, and returns its scale. */
  readonly read: (bytes: DataView, at: number, words: Uint32Array) => number;
}

const SOURCE_FORMATS: Readonly<Record<string, SourceFormat>> = {
  // f16 d; 32 nibbles: (q - 8) * d
  Q4_0: {
    packed: 'int4',
    blockBytes: 18,
    read(bytes, at, words) {
      readNibbles(bytes, at + 2, words);
      const scale = bytes.getUint16(at, true);
      return scale | (timesMinusEight(scale) << 16);
    },
  },
  // f16 d, f16 m; 32 nibbles: q * d + m
  Q4_1: {
    packed: 'int4',
    blockBytes: 20,
    read(bytes, at, words) {
      readNibbles(bytes, at + 4, words);
      return bytes.getUint32(at, true);
    },
  },
  // f16 d; 32 signed bytes: q * d
  Q8_0: {
    packed: 'int8',
    blockBytes: 34,
    read(bytes, at, words) {
      for (let word = 0; word < 8; word++) words[word] = bytes.getUint32(at + 2 + 4 * word, true);
      return halfFloats().bits[bytes.getUint16(at, true)] ?? 0;
    },
  },
};

/** The GGUF types that matrices may have. */
export const SUPPORTED_TYPES: readonly string[] = [...Object.keys(SOURCE_FORMATS), ...FLOAT_TYPE_NAMES];

/** 16 bytes hold k in their low nibbles and k + 16 in their high ones. */
function readNibbles(bytes: DataView, at: number, words: Uint32Array): void {
  for (let half = 0; half < 2; half++) {
    const a = bytes.getUint32(at + 8 * half, true);
    const b = bytes.getUint32(at + 8 * half + 4, true);
    words[half] = lowNibbles(a) | (lowNibbles(b) << 16);
    words[half + 2] = lowNibbles(a >>> 4) | (lowNibbles(b >>> 4) << 16);
  }
}

/** The low nibbles of 4 bytes, packed into 16 bits. */
function lowNibbles(word: number): number {
  const pairs = (word & 0x000f000f) | ((word >>> 4) & 0x00f000f0);
  return (pairs & 0xff) | ((pairs >>> 8) & 0xff00);
}

/** The lowest 4 nibbles of a word, each in its own byte. */
function spreadNibbles(word: number): number {
  const pairs = (word & 0xff) | ((word & 0xff00) << 8);
  return (pairs & 0x000f000f) | ((pairs & 0x00f000f0) << 4);
}

/** Moves the value at position i of each run of 4 to position i ^ order; a value has 4 or 8 bits. */
function reorder(word: number, bits: 4 | 8, order: number): number {
  let result = word;
  if (order & 1) result = swapRuns(result, bits);
  if (order & 2) result = swapRuns(result, (2 * bits) as 8 | 16);
  return result;
}

const RUN_MASKS = { 4: 0x0f0f0f0f, 8: 0x00ff00ff, 16: 0x0000ffff } as const;

function swapRuns(word: number, bits: 4 | 8 | 16): number {
  return ((word & RUN_MASKS[bits]) << bits) | ((word >>> bits) & RUN_MASKS[bits]);
}

/** The packed format of a GGUF type, or undefined where it is not supported. */
export function packedFormatOf(ggufType: string): PackedFormat | undefined {
  return SOURCE_FORMATS[ggufType]?.packed ?? floatFormatOf(ggufType);
}

/** Bytes of one row of `columns` weights of a supported GGUF type. */
export function sourceRowBytes(ggufType: string, columns: number): number {
  const floats = floatFormatOf(ggufType);
  if (floats !== undefined) return columns * floatBytes(floats);
  return (columns / GROUP_SIZE) * sourceFormat(ggufType).blockBytes;
}

/**
 * Widens INT4's scales and mins from f16 to f32, without rounding. For each lane of each group: its 4 scales, then its
 * 4 mins, as shaders/scales/f32.wgsl reads them.
 */
export function widenScales(scales: Uint32Array): Float32Array<ArrayBuffer> {
  const wide = new Float32Array(scales.length * 2);
  const halves = halfFloats().values;
  for (let i = 0; i < scales.length; i++) {
    const word = scales[i] ?? 0;
    const at = 2 * i - (i & 3); // its position in a run of 8
    wide[at] = halves[word & 0xffff] ?? 0;
    wide[at + 4] = halves[word >>> 16] ?? 0;
  }
  return wide;
}

/** Packed weights and scales of some tiles, ready for the GPU. */
export interface PackedTiles {
  readonly weights: Uint32Array<ArrayBuffer>;
  readonly scales: Uint32Array<ArrayBuffer>;
}

/**
 * Repacks whole rows of a matrix, without loss, into the layout that shaders/matmul.wgsl reads. Rows missing from the
 * last tile are zero. So are columns that pad k to a multiple of 32, which only floats may lack.
 *
 * weights `[tile][k / word][lane][row of the lane]`, scales `[tile][k / 32][lane][row of the lane]`; floats have none.
 *
 * @param bytes the rows in the GGUF type's own blocks, row-major
 * @param targetRow the row of the tiles for a source row
 */
export function repackRows(
  ggufType: string,
  bytes: Uint8Array,
  rows: number,
  columns: number,
  packing: Packing = 'quads',
  targetRow: (row: number) => number = (row) => row,
): PackedTiles {
  const floats = floatFormatOf(ggufType);
  if (floats !== undefined) {
    return { weights: repackFloats(floats, bytes, rows, columns, targetRow), scales: new Uint32Array(0) };
  }
  const format = sourceFormat(ggufType);
  const groups = columns / GROUP_SIZE;
  const groupWords = (GROUP_SIZE * PACKING[format.packed].bits) / 32;
  const weights = new Uint32Array(packedWords(format.packed, rows, columns));
  const scales = new Uint32Array(scaleWords(format.packed, rows, columns));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const words = new Uint32Array(groupWords);
  for (let row = 0; row < rows; row++) {
    const to = targetRow(row);
    const tile = Math.floor(to / TILE_ROWS);
    const tileRow = to % TILE_ROWS;
    const pack = packer(format.packed, packing, tileRow >> 2);
    for (let group = 0; group < groups; group++) {
      const first = (tile * groups + group) * groupWords * TILE_ROWS + tileRow;
      const at = (row * groups + group) * format.blockBytes;
      scales[(tile * groups + group) * TILE_ROWS + tileRow] = format.read(view, at, words);
      for (let word = 0; word < groupWords; word++) weights[first + word * TILE_ROWS] = pack(words[word] ?? 0);
    }
  }
  return { weights, scales };
}

function sourceFormat(ggufType: string): SourceFormat {
  const format = SOURCE_FORMATS[ggufType];
  if (format !== undefined) return format;
  const known = SUPPORTED_TYPES.join(', ');
  throw new TabserveError('unsupported_tensor', `Weights of type ${ggufType} are not supported yet; ${known} are.`);
}

/** -8 * a half float, as a half float: exact. Throws where it would overflow. */
function timesMinusEight(half: number): number {
  const sign = (half & 0x8000) ^ 0x8000;
  const exponent = (half >> 10) & 31;
  const mantissa = half & 0x3ff;
  if (exponent === 0) {
    // Subnormal: shift into the normal range as far as the top bit reaches.
    const value = mantissa * 8;
    if (value < 0x400) return sign | value;
    const shift = Math.floor(Math.log2(value)) - 10;
    return sign | ((shift + 1) << 10) | ((value >> shift) & 0x3ff);
  }
  if (exponent + 3 >= 31) {
    throw new TabserveError('unsupported_tensor', 'A Q4_0 block has a scale beyond 8188, which INT4 cannot hold.');
  }
  return sign | ((exponent + 3) << 10) | mantissa;
}
