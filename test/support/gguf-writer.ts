import { type GgufTensorInfo, type GgufValue, tensorBytes, writeGgufHeader } from '../../demo/bench/models/gguf-header.ts';

export { type GgufTensorInfo, type GgufValue, writeGgufHeader } from '../../demo/bench/models/gguf-header.ts';

export interface GgufTensor extends GgufTensorInfo {
  /** The tensor's bytes, in ggml's block format. */
  readonly data: Uint8Array;
}

/** The contents of a GGUF file. */
export interface GgufContents {
  readonly metadata: Readonly<Record<string, GgufValue>>;
  readonly tensors: readonly GgufTensor[];
}

/** The bytes of a GGUF v3 file (little endian; tensors aligned to 32 bytes). */
export function writeGguf({ metadata, tensors }: GgufContents): Uint8Array<ArrayBuffer> {
  const { header, offsets, totalBytes } = writeGgufHeader(metadata, tensors);
  const file = new Uint8Array(totalBytes);
  file.set(header);
  tensors.forEach(({ name, data, shape, type }, i) => {
    const expected = tensorBytes({ name, shape, type });
    if (data.length !== expected) throw new Error(`${name}: ${data.length} bytes, but its shape takes ${expected}`);
    file.set(data, offsets[i]);
  });
  return file;
}
