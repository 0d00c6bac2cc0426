import { TabserveError } from '../core/errors.ts';
import { ggmlType, ggmlTypeName } from '../quant/ggml-types.ts';
import { clip, type GgufCursor } from './gguf-cursor.ts';
import { type Parser, whole } from './gguf-metadata.ts';

/** A tensor's position in its file, shape and type. */
export interface TensorInfo {
  readonly name: string;
  /** `F32`, `Q4_0`, `Q4_1`, `Q8_0`, ...; `type N` where the type is not known. */
  readonly type: string;
  /** Elements, row-major, outermost first: a matrix is [rows, columns]. */
  readonly shape: readonly number[];
  /** From the start of the file, in bytes. */
  readonly offset: number;
  /** 0 where the type is not known. */
  readonly byteLength: number;
}

/** ggml's own limit (GGML_MAX_DIMS). */
const MAX_DIMENSIONS = 4;
/** Bytes of the shortest tensor record: empty name, one dimension, type, offset. */
export const MIN_TENSOR_BYTES = 8 + 4 + 8 + 4 + 8;
/** Known models have up to about two thousand. */
export const MAX_TENSORS = 16_384;
/** Four times ggml's own limit (GGML_MAX_NAME), in bytes. */
const MAX_NAME_BYTES = 256;
/** The most memory that a record takes beside its name. */
const RECORD_BYTES = 512;

/** Reads `count` tensor records; offsets are still relative to the data section. */
export function* readTensors(cursor: GgufCursor, count: number): Parser<TensorInfo[]> {
  const tensors: TensorInfo[] = [];
  const names = new Set<string>();
  for (let index = 0; index < count; index++) {
    cursor.make(RECORD_BYTES);
    const tensor = yield* whole(cursor, () => readTensor(cursor, index));
    if (names.has(tensor.name)) throw cursor.corrupt(`tensor '${clip(tensor.name)}' occurs twice`);
    names.add(tensor.name);
    tensors.push(tensor);
    if (index % 1024 === 1023) yield undefined;
  }
  return tensors;
}

function readTensor(cursor: GgufCursor, index: number): TensorInfo {
  const name = cursor.string(`the name of tensor ${index}`, MAX_NAME_BYTES);
  const dimensions = cursor.u32(`the dimension count of tensor '${name}'`);
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS) {
    throw cursor.corrupt(`tensor '${name}' has ${dimensions} dimensions, not 1 to ${MAX_DIMENSIONS}`);
  }
  const shape: number[] = [];
  let elements = 1;
  for (let dimension = 0; dimension < dimensions; dimension++) {
    const size = cursor.count(`dimension ${dimension} of tensor '${name}'`, Number.MAX_SAFE_INTEGER);
    elements *= size;
    if (size < 1 || !Number.isSafeInteger(elements)) {
      throw cursor.corrupt(`tensor '${name}' has an impossible dimension, ${size}`);
    }
    shape.unshift(size); // the file has the innermost first
  }
  const typeId = cursor.u32(`the type of tensor '${name}'`);
  const type = ggmlType(typeId);
  const columns = shape[shape.length - 1] ?? 0;
  if (type !== undefined && columns % type.blockSize !== 0) {
    const rule = `${type.name} needs a multiple of ${type.blockSize}`;
    throw cursor.corrupt(`tensor '${name}' has rows of ${columns} elements, where ${rule}`);
  }
  return {
    name,
    type: ggmlTypeName(typeId),
    shape,
    offset: cursor.count(`the offset of tensor '${name}'`, Number.MAX_SAFE_INTEGER),
    byteLength: type === undefined ? 0 : (elements / type.blockSize) * type.blockBytes,
  };
}

/**
 * Makes the offsets absolute. Refuses tensors that are not aligned, that overlap, or that lie outside the file.
 *
 * @param dataOffset the start of the data section, in bytes
 */
export function placeTensors(
  tensors: readonly TensorInfo[],
  dataOffset: number,
  alignment: number,
  file: { readonly id: string; readonly size: number },
): TensorInfo[] {
  const placed = tensors.map((tensor) => {
    if (tensor.offset % alignment !== 0) {
      throw corrupt(file.id, `tensor '${tensor.name}' is at ${tensor.offset}, not aligned to ${alignment}`);
    }
    return { ...tensor, offset: dataOffset + tensor.offset };
  });
  let previous: TensorInfo | undefined;
  for (const tensor of placed.toSorted((a, b) => a.offset - b.offset)) {
    if (tensor.offset + tensor.byteLength > file.size) {
      const range = `bytes ${tensor.offset} to ${tensor.offset + tensor.byteLength} of a file of ${file.size}`;
      throw corrupt(file.id, `tensor '${tensor.name}' takes ${range}; it is cut short or damaged`);
    }
    if (previous !== undefined && tensor.offset < previous.offset + previous.byteLength) {
      throw corrupt(file.id, `tensors '${previous.name}' and '${tensor.name}' overlap`);
    }
    previous = tensor;
  }
  return placed;
}

function corrupt(id: string, message: string): TabserveError {
  return new TabserveError('corrupt_model', `${id}: ${message}.`);
}
