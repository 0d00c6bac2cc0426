// @ts-check
import { existsSync, openSync, closeSync, readSync, renameSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readGgufHeader } from '../oracle/gguf-file.mjs';
import { importTypeScript } from '../oracle/typescript.mjs';

/** llama.cpp's number for files that are mostly Q8_0. */
const MOSTLY_Q8_0 = 7;

/** Elements at a time. */
const CHUNK = 2 ** 20;

/**
 * The Q8_0 twin of a model: each 4-bit matrix becomes the Q8_0 blocks nearest to the numbers that it stands for. Made
 * once, and kept in `dir`.
 *
 * @param {string} source
 * @param {string} dir
 * @returns {Promise<string>} its path
 */
export async function makeQ8Twin(source, dir) {
  const target = join(dir, `${basename(source).replace(/\.Q4_[01]\.gguf$|\.gguf$/, '')}.twin-Q8_0.gguf`);
  if (existsSync(target)) return target;
  const { writeGgufHeader } = await importTypeScript('test/support/gguf-writer.ts');
  const blocks = await importTypeScript('test/support/ggml-blocks.ts');
  const { metadata, tensors } = await readGgufHeader(source);
  const types = tensors.map(({ type }) => (type.startsWith('Q4_') ? 'Q8_0' : type));
  const { header, offsets } = writeGgufHeader(
    { ...metadata, 'general.file_type': { type: 'u32', value: MOSTLY_Q8_0 } },
    tensors.map(({ name, shape }, i) => ({ name, shape, type: types[i] })),
  );
  const input = openSync(source, 'r');
  const output = openSync(`${target}.part`, 'w');
  writeSync(output, header, 0, header.length, 0);
  for (const [i, { shape, type, start }] of tensors.entries()) {
    const length = shape.reduce((a, b) => a * b, 1);
    for (let at = 0; at < length; at += CHUNK) {
      const count = Math.min(CHUNK, length - at);
      const bytes = new Uint8Array(blocks.byteLength(type, count));
      readSync(input, bytes, 0, bytes.length, start + blocks.byteLength(type, at));
      const written = requantise(blocks, type, types[i], bytes, count);
      writeSync(output, written, 0, written.length, offsets[i] + blocks.byteLength(types[i], at));
    }
  }
  closeSync(input);
  closeSync(output);
  renameSync(`${target}.part`, target);
  return target;
}

/**
 * Blocks of one type as blocks of another; of the same, as they are.
 *
 * @param {typeof import('../support/ggml-blocks.ts')} blocks
 * @param {import('../support/ggml-blocks.ts').GgmlType} from
 * @param {import('../support/ggml-blocks.ts').GgmlType} to
 * @param {Uint8Array} bytes
 * @param {number} length elements
 */
export function requantise(blocks, from, to, bytes, length) {
  return from === to ? bytes : blocks.quantise(to, blocks.dequantise(from, bytes, length));
}
