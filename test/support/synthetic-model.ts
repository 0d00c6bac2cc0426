import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GGML_TYPE, type GgmlType, quantise } from './ggml-blocks.ts';
import { type GgufTensorInfo, writeGgufHeader } from './gguf-writer.ts';
import { createRandom } from './random.ts';
import { tinyModelMetadata, type TinyShape } from './tiny-model.ts';

/** A GGUF file that is made up as it is read: any size, no memory. */
export interface SyntheticFile {
  readonly size: number;
  /** Bytes from `start` to before `end`. */
  read(start: number, end: number): Uint8Array;
}

const SHAPE = {
  architecture: 'llama',
  hiddenSize: 2048, intermediateSize: 8192, numHeads: 32, numKvHeads: 8, headSize: 64, vocabSize: 512, contextLength: 512,
  ropeTheta: 10_000, tied: true,
} as const;

/** Blocks of random weights that are repeated all over a tensor. */
const PATTERN_BLOCKS = 4096;

/** A `llama` of random weights: Q4_0 matrices of 34 MB a layer, and a Q8_0 embedding. */
export function syntheticModel(numLayers: number): SyntheticFile {
  const shape: TinyShape = { ...SHAPE, numLayers };
  const tensors = tensorsOf(shape);
  const { header, offsets, totalBytes } = writeGgufHeader(tinyModelMetadata(shape, `synthetic-${numLayers}`), tensors);
  const patterns = new Map((['Q4_0', 'Q8_0', 'F32'] as const).map((type) => [type, patternOf(type)]));
  const read = (start: number, end: number): Uint8Array => {
    const bytes = new Uint8Array(end - start);
    if (start < header.length) bytes.set(header.subarray(start, end));
    tensors.forEach(({ type }, i) => {
      const [first = 0, last = totalBytes] = [offsets[i], offsets[i + 1]];
      const pattern = patterns.get(type as 'Q4_0');
      if (pattern === undefined || last <= start || first >= end) return;
      for (let at = Math.max(start, first); at < Math.min(last, end); ) {
        const from = (at - first) % pattern.length;
        const piece = pattern.subarray(from, from + Math.min(last, end) - at);
        bytes.set(piece, at - start);
        at += piece.length;
      }
    });
    return bytes;
  };
  return { size: totalBytes, read };
}

function patternOf(type: GgmlType): Uint8Array {
  const random = createRandom(GGML_TYPE[type]);
  const isVector = type === 'F32';
  const values = new Float32Array(32 * PATTERN_BLOCKS).map(() => (isVector ? 1 : 0.02 * random.normal()));
  return quantise(type, values);
}

function tensorsOf({ hiddenSize, intermediateSize, numLayers, numHeads, numKvHeads, headSize, vocabSize }: TinyShape) {
  const [heads, kvHeads] = [numHeads * headSize, numKvHeads * headSize];
  const matrix = (name: string, columns: number, rows: number, type: GgmlType = 'Q4_0'): GgufTensorInfo => {
    return { name: `${name}.weight`, shape: [columns, rows], type };
  };
  const norm = (name: string): GgufTensorInfo => ({ name: `${name}.weight`, shape: [hiddenSize], type: 'F32' });
  const layers = Array.from({ length: numLayers }, (_, i) => [
    norm(`blk.${i}.attn_norm`),
    matrix(`blk.${i}.attn_q`, hiddenSize, heads),
    matrix(`blk.${i}.attn_k`, hiddenSize, kvHeads),
    matrix(`blk.${i}.attn_v`, hiddenSize, kvHeads),
    matrix(`blk.${i}.attn_output`, heads, hiddenSize),
    norm(`blk.${i}.ffn_norm`),
    matrix(`blk.${i}.ffn_gate`, hiddenSize, intermediateSize),
    matrix(`blk.${i}.ffn_up`, hiddenSize, intermediateSize),
    matrix(`blk.${i}.ffn_down`, intermediateSize, hiddenSize),
  ]);
  return [matrix('token_embd', hiddenSize, vocabSize, 'Q8_0'), norm('output_norm'), ...layers.flat()];
}

export interface SyntheticServer {
  readonly url: string;
  /** Bytes of the file. */
  bytesSent(): number;
  close(): Promise<void>;
}

/** Serves it, with ranges, to pages of any origin. */
export async function serveSynthetic(file: SyntheticFile): Promise<SyntheticServer> {
  let bytesSent = 0;
  const counted: SyntheticFile = {
    size: file.size,
    read: (start, end) => {
      bytesSent += end - start;
      return file.read(start, end);
    },
  };
  const server = createServer((request, response) => void answer(counted, request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/synthetic.gguf`,
    bytesSent: () => bytesSent,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const CHUNK = 1024 * 1024;

async function answer(file: SyntheticFile, { method, headers }: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, from = '0', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? [];
  const start = Number(from);
  const end = to === '' ? file.size : Math.min(file.size, Number(to) + 1);
  response.writeHead(headers.range === undefined ? 200 : 206, {
    'access-control-allow-origin': '*', 'access-control-allow-headers': '*',
    'access-control-expose-headers': 'content-range, etag', 'cross-origin-resource-policy': 'cross-origin',
    'content-length': end - start, 'content-range': `bytes ${start}-${end - 1}/${file.size}`, etag: '"synthetic"',
  });
  if (method === 'GET') {
    for (let at = start; at < end && !response.destroyed; at += CHUNK) {
      const isTaken = response.write(file.read(at, Math.min(at + CHUNK, end)));
      if (!isTaken) await new Promise<void>((resolve) => response.once('drain', resolve).once('close', resolve));
    }
  }
  response.end();
}
