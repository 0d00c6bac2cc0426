/** Raw pieces of a GGUF file, for files that no honest writer would write. */

export function bytes(...pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

export function u32(value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value, true);
  return out;
}

export function u64(value: bigint): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, value, true);
  return out;
}

export function string(value: string): Uint8Array {
  const text = new TextEncoder().encode(value);
  return bytes(u64(BigInt(text.length)), text);
}

/** A tensor record; `dims` in file order, innermost first; `offset` within the data section. */
export function tensor(name: string, dims: readonly bigint[], type: number, offset: bigint): Uint8Array {
  return bytes(string(name), u32(dims.length), ...dims.map(u64), u32(type), u64(offset));
}

export interface HeaderPieces {
  readonly version?: number;
  readonly pairs?: readonly Uint8Array[];
  readonly pairCount?: bigint;
  readonly tensors?: readonly Uint8Array[];
  readonly tensorCount?: bigint;
  readonly data?: Uint8Array;
}

/** A file of these pieces, its data section aligned to 32. */
export function header(pieces: HeaderPieces): Uint8Array<ArrayBuffer> {
  const { version = 3, pairs = [], tensors = [], data = new Uint8Array() } = pieces;
  const { pairCount = BigInt(pairs.length), tensorCount = BigInt(tensors.length) } = pieces;
  const magic = new TextEncoder().encode('GGUF');
  const head = bytes(magic, u32(version), u64(tensorCount), u64(pairCount), ...pairs, ...tensors);
  return bytes(head, new Uint8Array((32 - (head.length % 32)) % 32), data);
}
