import { afterEach, beforeEach, expect, test } from 'vitest';
import { kvCacheDtypeOf } from '../../../src/core/kv-cache-dtype.ts';
import { TabserveError } from '../../../src/core/errors.ts';
import type { LoadOptions } from '../../../src/core/protocol.ts';
import { VisibleClock } from '../../../src/core/visible-clock.ts';
import { sha256 } from '../../../src/storage/sha256.ts';
import { readModelConfig } from '../../../src/models/architectures.ts';
import type { LoadRunnerOptions } from '../../../src/runner/load-runner.ts';
import { createModelLoader } from '../../../src/worker/load-model.ts';
import { noProfiler } from '../../support/fake-profiler.ts';
import { type FileServer, startFileServer } from '../../support/file-server.ts';
import { writeGguf } from '../../support/gguf-writer.ts';
import { tinyModel, tinyModelContents } from '../../support/tiny-model.ts';
import { firstDifference } from '../download/seeded-bytes.ts';
import { memoryStorage, type MemoryStorage } from '../storage/memory-storage.ts';

// What a file's header says decides whether anything of the file is stored.

const PART = 12_000;
/** Five parts: more than are kept in memory for reading. */
const SHAPE = { type: 'Q8_0', numLayers: 1, hiddenSize: 64, intermediateSize: 64, numHeads: 1, headSize: 64 } as const;
const contents = tinyModelContents(SHAPE);
const sound = tinyModel(SHAPE);
const withMetadata = (changes: typeof contents.metadata) => writeGguf({ ...contents, metadata: { ...contents.metadata, ...changes } });
const tooLarge = new TabserveError('out_of_memory', 'too large', { details: { budgetBytes: 1 } });

let server: FileServer;
let storage: MemoryStorage;
/** Of all requests that were made. */
let signals: AbortSignal[];
/** What the GPU says when it knows what the model needs. */
let budget: () => Promise<void>;

beforeEach(async () => {
  server = await startFileServer({ '/m.gguf': sound });
  storage = memoryStorage();
  signals = [];
  budget = async () => {};
});
const hasTransfer = 'transfer' in ArrayBuffer.prototype;
afterEach(() => {
  if (!hasTransfer) Reflect.deleteProperty(ArrayBuffer.prototype, 'transfer');
  return server.close();
});

/** What browsers have, by which buffers are freed that are not read any more. */
function transfer(this: ArrayBuffer): ArrayBuffer {
  return structuredClone(this, { transfer: [this] });
}

/** Reads the tensors once the budget is known. */
async function loadRunner({ file, onStage, kvCacheDtype, numerics = 'f32', signal }: LoadRunnerOptions) {
  const config = readModelConfig(file);
  await budget();
  signal?.throwIfAborted();
  onStage?.('load');
  for (const { offset, byteLength } of file.tensors) await file.source.read(offset, byteLength);
  onStage?.('compile');
  return {
    runner: { execute: () => Promise.reject(new Error('nothing is asked')) },
    config,
    scheduler: { blockSize: 16, numBlocks: 8, maxNumBatchedTokens: 32, maxNumSeqs: 4, maxModelLen: 512, maxStepsPerPlan: 1 },
    adapter: { vendor: '', architecture: '', device: '', description: '', isSoftware: true, features: [] },
    kvCacheDtype: kvCacheDtypeOf(kvCacheDtype, true),
    numerics,
    kvCacheBytes: 4096,
    gpuBytes: 4096,
    profiler: noProfiler,
    counters: () => ({ steps: 0, dispatches: 0, submits: 0, bindGroupsCreated: 0, bytesReadBack: 0 }),
    lost: new Promise<TabserveError>(() => {}),
    loseDevice: () => {},
    destroy: () => {},
  };
}

/** A worker. */
function openWorker(partBytes = PART) {
  const recorded: typeof fetch = (input, init) => {
    if (init?.signal) signals.push(init.signal);
    return fetch(input, init);
  };
  const open = { storage, partBytes, http: { fetch: recorded } };
  const loader = createModelLoader({ loadRunner, baseUrl: `${server.origin}/`, open, tuningStorage: () => undefined });
  return (options: Partial<LoadOptions> = {}, signal = new AbortController().signal) => {
    const reserve = async ({ wantedBytes }: { wantedBytes: number }): Promise<number> => wantedBytes;
    const visibleClock = new VisibleClock(() => performance.now());
    const context = { onProgress: () => {}, beginWait: () => () => {}, signal, log: () => {}, clock: () => performance.now(), visibleClock, reserve };
    return loader({ source: '/m.gguf', ...options }, context);
  };
}
const serve = (content: Uint8Array<ArrayBuffer>): void => void server.files.set('/m.gguf', { content, faults: server.files.get('/m.gguf')?.faults ?? {} });
const numStored = (): number => storage.parts.size + storage.manifests.size;

const REFUSED = {
  'another version of GGUF': ['unsupported_model', () => serve(sound.with(4, 9))],
  'no architecture that is known': ['unsupported_model', () => serve(withMetadata({ 'general.architecture': { type: 'string', value: 'mamba' } }))],
  'metadata that makes no sense': ['corrupt_model', () => serve(withMetadata({ 'llama.block_count': { type: 'u32', value: 0 } }))],
  'tensors beyond its end': ['corrupt_model', () => serve(sound.slice(0, sound.length - 1000))],
  'more than the GPU has': ['out_of_memory', () => (budget = () => Promise.reject(tooLarge))],
} as const;
const cases = (['with ranges', 'without ranges'] as const).flatMap((how) => Object.entries(REFUSED).map(([what, [code, spoil]]) => ({ what, how, code, spoil })));

test.each(cases)('a file of $what, $how, leaves nothing, and its download ends', async ({ how, code, spoil }) => {
  spoil();
  const file = server.files.get('/m.gguf');
  if (how === 'without ranges' && file !== undefined) file.faults = { ignoreRange: true };
  let writes = 0;
  storage.writePart = async () => void writes++;
  await expect(openWorker()()).rejects.toMatchObject({ code });
  expect([numStored(), writes]).toEqual([0, 0]);
  expect(signals.length).toBeGreaterThan(1);
  expect(signals.every(({ aborted }) => aborted)).toBe(true);
});

test.each([{}, { ignoreRange: true }])('a file that is accepted is stored whole before it answers, its header’s parts too: %o', async (faults) => {
  if (!hasTransfer) Object.defineProperty(ArrayBuffer.prototype, 'transfer', { value: transfer, configurable: true });
  serve(sound);
  const file = server.files.get('/m.gguf');
  if (file !== undefined) file.faults = faults;
  let before = -1;
  budget = async () => void (before = numStored());
  await openWorker()();
  expect(before).toBe(0);
  const { parts = [] } = storage.manifests.get(`${server.origin}/m.gguf`) ?? {};
  expect(parts).toHaveLength(Math.ceil(sound.length / PART));
  for (const [index, hash] of parts.entries()) {
    const bytes = sound.slice(index * PART, (index + 1) * PART);
    expect([index, hash]).toEqual([index, await sha256(bytes)]);
    expect(firstDifference(storage.parts.get(`${server.origin}/m.gguf#${index}`) ?? new Uint8Array(), bytes)).toBe(-1);
  }
});

test('a load that is given up before its file is accepted leaves nothing either', async () => {
  const cancel = new AbortController();
  budget = async () => cancel.abort(new TabserveError('aborted', 'given up'));
  await expect(openWorker()({}, cancel.signal)).rejects.toMatchObject({ code: 'aborted' });
  expect(numStored()).toBe(0);
});

test('a refusal takes nothing away: of what is stored, nor of what another load stores at the same time', async () => {
  // One load finds it too large while another one, which has more room, stores it.
  let release = (): void => {};
  const other = new Promise<void>((resolve) => (release = resolve));
  let isFirst = true;
  budget = async () => {
    if (!isFirst) return;
    isFirst = false;
    await other;
    throw tooLarge;
  };
  const refused = openWorker()().catch((error: TabserveError) => error.code);
  while (isFirst) await new Promise((resolve) => setImmediate(resolve));
  await openWorker()();
  const stored = numStored();
  expect(stored).toBe(Math.ceil(sound.length / PART) + 1);
  release();
  expect(await refused).toBe('out_of_memory');
  expect(numStored()).toBe(stored);
  // Nor is what is stored whole.
  budget = () => Promise.reject(tooLarge);
  await expect(openWorker()()).rejects.toMatchObject({ code: 'out_of_memory' });
  expect(numStored()).toBe(stored);
});

test('with a worker’s first load goes what nobody would find: folders without a manifest, manifests that are none', async () => {
  await openWorker()();
  const stored = numStored();
  await storage.writePart('https://gone.test/a.gguf', 3, new Uint8Array(8));
  await storage.writePart('https://gone.test/b.gguf', 0, new Uint8Array(8));
  storage.manifests.set('https://gone.test/b.gguf', { url: 'https://gone.test/b.gguf', parts: [1] } as never);
  await openWorker()();
  await expect.poll(numStored).toBe(stored);
});
