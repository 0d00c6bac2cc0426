import { byteLength, GGML_TYPE, type GgmlType } from './ggml-types.ts';

/** A metadata value with its GGUF type. */
export type GgufValue =
  | { readonly type: 'u32' | 'i32' | 'f32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'i32s' | 'f32s'; readonly value: readonly number[] };

/** A tensor, as the header describes it. */
export interface GgufTensorInfo {
  readonly name: string;
  /** GGUF order: the elements of a row first. */
  readonly shape: readonly number[];
  readonly type: GgmlType;
}

const ALIGNMENT = 32;
const VALUE_TYPE = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;
const ELEMENT_TYPE = { strings: VALUE_TYPE.string, i32s: VALUE_TYPE.i32, f32s: VALUE_TYPE.f32 } as const;

const padded = (length: number): number => Math.ceil(length / ALIGNMENT) * ALIGNMENT;

/**
 * All that precedes the tensors' data in a GGUF v3 file, padded, and where in the file each tensor's data goes.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
export function writeGgufHeader(
  metadata: Readonly<Record<string, GgufValue>>,
  tensors: readonly GgufTensorInfo[],
): { header: Uint8Array; offsets: readonly number[]; totalBytes: number } {
  const writer = new HeaderWriter();
  const entries = Object.entries(metadata);
  writer.raw('GGUF').u32(3).u64(tensors.length).u64(entries.length);
  for (const [key, value] of entries) writer.string(key).value(value);
  let offset = 0;
  const relative = tensors.map((tensor) => {
    writer.string(tensor.name).u32(tensor.shape.length);
    for (const size of tensor.shape) writer.u64(size);
    writer.u32(GGML_TYPE[tensor.type]).u64(offset);
    const start = offset;
    offset += padded(tensorBytes(tensor));
    return start;
  });
  const header = new Uint8Array(padded(writer.length));
  writer.copyTo(header);
  return { header, offsets: relative.map((start) => header.length + start), totalBytes: header.length + offset };
}

/** Bytes of a tensor's data. */
export function tensorBytes({ type, shape }: GgufTensorInfo): number {
  return byteLength(
    type,
    shape.reduce((a, b) => a * b, 1),
  );
}

class HeaderWriter {
  length = 0;
  readonly #parts: Uint8Array[] = [];

  bytes(part: Uint8Array): this {
    this.#parts.push(part);
    this.length += part.length;
    return this;
  }

  raw(text: string): this {
    return this.bytes(new TextEncoder().encode(text));
  }

  u32(value: number): this {
    return this.#number(4, (view) => view.setUint32(0, value, true));
  }

  u64(value: number): this {
    return this.#number(8, (view) => view.setBigUint64(0, BigInt(value), true));
  }

  string(text: string): this {
    const bytes = new TextEncoder().encode(text);
    return this.u64(bytes.length).bytes(bytes);
  }

  value(value: GgufValue): this {
    switch (value.type) {
      case 'u32':
      case 'i32':
      case 'f32':
        return this.u32(VALUE_TYPE[value.type]).#scalar(value.type, value.value);
      case 'bool':
        return this.u32(VALUE_TYPE.bool).bytes(Uint8Array.of(value.value ? 1 : 0));
      case 'string':
        return this.u32(VALUE_TYPE.string).string(value.value);
      case 'strings':
        this.#array(value);
        for (const text of value.value) this.string(text);
        return this;
      case 'i32s':
      case 'f32s':
        this.#array(value);
        for (const number of value.value) this.#scalar(value.type === 'i32s' ? 'i32' : 'f32', number);
        return this;
    }
  }

  copyTo(file: Uint8Array): void {
    let at = 0;
    for (const part of this.#parts) {
      file.set(part, at);
      at += part.length;
    }
  }

  #array(value: Extract<GgufValue, { type: keyof typeof ELEMENT_TYPE }>): void {
    this.u32(VALUE_TYPE.array).u32(ELEMENT_TYPE[value.type]).u64(value.value.length);
  }

  #scalar(type: 'u32' | 'i32' | 'f32', value: number): this {
    return this.#number(4, (view) => {
      if (type === 'f32') view.setFloat32(0, value, true);
      else if (type === 'i32') view.setInt32(0, value, true);
      else view.setUint32(0, value, true);
    });
  }

  #number(size: number, write: (view: DataView) => void): this {
    const bytes = new Uint8Array(size);
    write(new DataView(bytes.buffer));
    return this.bytes(bytes);
  }
}
