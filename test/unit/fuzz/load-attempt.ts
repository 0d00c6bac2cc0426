import { TabserveError } from '../../../src/core/errors.ts';
import { BufferPool } from '../../../src/gpu/buffers.ts';
import { countingDevice } from '../../../src/gpu/counting-device.ts';
import type { ByteSource } from '../../../src/core/byte-source.ts';
import { type ModelFile, readModelFile } from '../../../src/formats/gguf.ts';
import { readModelConfig } from '../../../src/models/architectures.ts';
import { planWeights } from '../../../src/models/weights.ts';
import { createTokenizer } from '../../../src/tokenizer/tokenizer.ts';
import type { HostileFile } from './mutate-header.ts';

/** What became of a file at each stage: `ok`, or the error's code. */
export interface Attempt {
  readonly header: string;
  readonly weights: string;
  readonly tokenizer: string;
  /** Bytes asked of the source, and of the GPU. */
  readonly bytesRead: number;
  readonly gpuBytes: number;
}

const LAYOUT = { numerics: 'f32', wideScales: false, maxSlices: 32, maxBindingBytes: 128 * 2 ** 20 } as const;
const LONGEST_MESSAGE = 2000;

/** Loads the file as far as can be done without a GPU. @throws whatever is thrown that is no TabserveError. */
export async function attemptLoad(file: HostileFile): Promise<Attempt> {
  let bytesRead = 0;
  const source: ByteSource = {
    id: 'hostile.gguf',
    size: file.size,
    read: (offset, length) => {
      if (offset < 0 || length < 0 || offset + length > file.size) throw new Error(`read ${length} at ${offset} of ${file.size}`);
      bytesRead += length;
      const bytes = new Uint8Array(length);
      bytes.set(file.head.subarray(offset, offset + length));
      return Promise.resolve(bytes);
    },
  };
  const pool = new BufferPool(countingDevice({ maxBufferSize: LAYOUT.maxBindingBytes, maxStorageBufferBindingSize: LAYOUT.maxBindingBytes }));
  const parsed: { file?: ModelFile } = {};
  const header = await outcome(async () => {
    parsed.file = await readModelFile(source);
  });
  const { file: model } = parsed;
  const skipped = { weights: 'skipped', tokenizer: 'skipped', bytesRead, gpuBytes: 0 };
  if (model === undefined) return { header, ...skipped };
  const weights = await outcome(() => {
    planWeights(model, readModelConfig(model), pool, LAYOUT);
  });
  const tokenizer = await outcome(() => useTokenizer(model));
  return { header, weights, tokenizer, bytesRead, gpuBytes: pool.bytes };
}

function useTokenizer({ metadata }: ModelFile): void {
  const tokenizer = createTokenizer(metadata);
  const ids = tokenizer.encode('Hello, hell <s>\u{1f600}\n 123');
  const detokenizer = tokenizer.createDetokenizer();
  for (const id of [...ids, 0, 5, 10_000]) detokenizer.decode(id);
  detokenizer.flush();
  const prompt = tokenizer.encodeChat([{ role: 'user', content: 'hello' }]);
  const isToken = (id: number): boolean => Number.isInteger(id) && id >= 0 && id < tokenizer.vocabSize;
  if (![...ids, ...prompt, ...tokenizer.stopTokenIds].every(isToken)) throw new Error('an id that is none');
}

async function outcome(action: () => unknown): Promise<string> {
  try {
    await action();
    return 'ok';
  } catch (error) {
    if (!(error instanceof TabserveError)) throw error;
    if (error.code === 'internal' || error.message.length > LONGEST_MESSAGE) throw new Error(`an unfit message: ${error.message}`);
    return error.code;
  }
}
