// Writes a GGUF's weights out as F32, metadata unchanged: the very numbers that its quantised blocks stand for.
//   node test/oracle/dequantise.mjs IN.gguf OUT.gguf
// llama.cpp rounds activations to 8 bits where weights are quantised; on this copy it is a reference.
import fs from 'node:fs/promises';
import { readGgufHeader } from './gguf-file.mjs';
import { importTypeScript } from './typescript.mjs';

const { writeGgufHeader } = await importTypeScript('test/support/gguf-writer.ts');
const { BLOCK_BYTES, BLOCK, byteLength, dequantise } = await importTypeScript('test/support/ggml-blocks.ts');

const [source, target] = process.argv.slice(2);
const { metadata, tensors } = await readGgufHeader(source);
const asF32 = { ...metadata, 'general.file_type': { type: 'u32', value: 0 } };
const { header, offsets } = writeGgufHeader(
  asF32,
  tensors.map(({ name, shape }) => ({ name, shape, type: 'F32' })),
);

const input = await fs.open(source);
const output = await fs.open(target, 'w');
await output.write(header, 0, header.length, 0);
const CHUNK = 2 ** 20; // elements
for (const [i, { shape, type, start }] of tensors.entries()) {
  const length = shape.reduce((a, b) => a * b, 1);
  for (let at = 0; at < length; at += CHUNK) {
    const count = Math.min(CHUNK, length - at);
    const bytes = new Uint8Array(byteLength(type, count));
    await input.read(bytes, 0, bytes.length, start + (at / BLOCK) * BLOCK_BYTES[type]);
    const values = dequantise(type, bytes, count);
    await output.write(new Uint8Array(values.buffer), 0, values.byteLength, offsets[i] + at * 4);
  }
}
await input.close();
await output.close();
