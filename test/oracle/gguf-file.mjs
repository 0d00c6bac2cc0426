// Reading a local GGUF's header, with its metadata in the form that test/support/gguf-writer.ts writes.
import { gguf } from '@huggingface/gguf';

const SCALAR = { 4: 'u32', 5: 'i32', 6: 'f32', 7: 'bool', 8: 'string' };
const ARRAY = { 5: 'i32s', 6: 'f32s', 8: 'strings' };
const TENSOR = { 0: 'F32', 2: 'Q4_0', 3: 'Q4_1', 8: 'Q8_0' };

export async function readGgufHeader(file) {
  const parsed = await gguf(file, { allowLocalFile: true, typedMetadata: true });
  const entries = Object.entries(parsed.typedMetadata)
    .filter(([key]) => !['version', 'tensor_count', 'kv_count'].includes(key))
    .map(([key, { type, subType, value }]) => {
      const name = type === 9 ? ARRAY[subType] : SCALAR[type];
      if (name === undefined) throw new Error(`${key}: metadata type ${type} ${subType} is not handled`);
      return [key, { type: name, value }];
    });
  const tensors = parsed.tensorInfos.map((info) => {
    const type = TENSOR[info.dtype];
    if (type === undefined) throw new Error(`${info.name}: tensor type ${info.dtype} is not handled`);
    const shape = info.shape.map(Number);
    return { name: info.name, shape, type, start: Number(parsed.tensorDataOffset + info.offset) };
  });
  return { metadata: Object.fromEntries(entries), plain: parsed.metadata, tensors };
}
