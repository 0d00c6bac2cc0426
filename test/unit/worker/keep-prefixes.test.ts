import { expect, test, vi } from 'vitest';
import { kvCacheDtypeOf } from '../../../src/core/kv-cache-dtype.ts';
import type { TabserveError } from '../../../src/core/errors.ts';
import type { LoadSettings } from '../../../src/core/load-settings.ts';
import type { LoadOptions } from '../../../src/core/protocol.ts';
import type { ModelRunner } from '../../../src/core/scheduler-output.ts';
import { VisibleClock } from '../../../src/core/visible-clock.ts';
import type { PrefixManifest } from '../../../src/storage/prefix-manifest.ts';
import { readModelConfig } from '../../../src/models/architectures.ts';
import type { LoadRunnerOptions } from '../../../src/runner/load-runner.ts';
import { KeptPrefixes } from '../../../src/worker/keep-prefixes.ts';
import { createModelLoader } from '../../../src/worker/load-model.ts';
import { openManager, Tab } from '../../support/tab.ts';
import { tinyModel } from '../../support/tiny-model.ts';
import { memoryStorage } from '../storage/memory-storage.ts';
import { noProfiler } from '../../support/fake-profiler.ts';

const bytes = tinyModel({ type: 'Q8_0' });
const runner: ModelRunner = {
  execute: async ({ requests, numSteps }) => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    return { sampledTokenIds: new Map(requests.map(({ requestId }) => [requestId, Array<number>(numSteps).fill(68)])) };
  },
};

interface Visit extends LoadSettings {
  readonly storage?: ReturnType<typeof memoryStorage<PrefixManifest>>;
  readonly file?: Uint8Array<ArrayBuffer>;
  readonly device?: string;
}

/** Its blocks have eight bytes. */
const runnerOf = (device: string) => vi.fn(async ({ file: model, kvCacheDtype, numerics = 'f32', blockTransfer }: LoadRunnerOptions) => {
  for (const { offset, byteLength } of model.tensors) await model.source.read(offset, byteLength);
  const transfer = { blockBytes: 8, read: async () => new Uint8Array(8), write: vi.fn(async () => {}) };
  return {
    runner,
    config: readModelConfig(model),
    scheduler: {
      blockSize: 16, numBlocks: 64, maxNumBatchedTokens: 256, maxNumSeqs: 4, maxModelLen: 512, maxStepsPerPlan: 1,
    },
    adapter: { vendor: '', architecture: '', device, description: '', isSoftware: true, features: [] },
    kvCacheDtype: kvCacheDtypeOf(kvCacheDtype, true),
    numerics,
    kvCacheBytes: 4096,
    gpuBytes: 4096,
    blockTransfer: blockTransfer === true ? transfer : undefined,
    profiler: noProfiler,
    counters: () => ({ steps: 0, dispatches: 0, submits: 0, bindGroupsCreated: 0, bytesReadBack: 0 }),
    lost: new Promise<TabserveError>(() => {}),
    loseDevice: () => {},
    destroy: () => {},
  };
});

/** Loads a model. */
async function load({ storage = memoryStorage(), file = bytes, device = 'this one', ...settings }: Visit) {
  const loadRunner = runnerOf(device);
  const lines: string[] = [];
  const loader = createModelLoader({ loadRunner, baseUrl: 'https://x.test/', prefixes: new KeptPrefixes(() => storage) });
  const source = new File([file], 'tiny.gguf', { lastModified: 1 });
  const model = await loader(
    { source, ...settings },
    {
      onProgress: () => {}, beginWait: () => () => {},
      signal: new AbortController().signal,
      log: (_level, line) => lines.push(line),
      clock: () => performance.now(),
      visibleClock: new VisibleClock(() => performance.now()),
      reserve: async ({ wantedBytes }) => wantedBytes,
    },
  );
  return { model, storage, lines, loadRunner };
}

/** Asks twice for the same prompt, and waits until that is kept; or, where it was before, until it is restored. */
async function visit(options: Visit, outcome: 'kept' | 'restored' = 'kept'): Promise<void> {
  const { model, lines } = await load(options);
  const promptTokenIds = Array.from({ length: 150 }, (_, i) => 3 + (i % 200));
  const sampling = { temperature: 0, seed: 1, maxTokens: 2, stopTokenIds: [] };
  const ask = (requestId: string): void => {
    model.engine.add({ requestId, sessionId: 's', choice: 0, promptTokenIds, sampling, arrivalTime: 0, persistPrefix: true });
  };
  const ended = new Set<string>();
  const stop = new AbortController();
  void (async () => {
    for await (const outputs of model.engine.run(stop.signal)) {
      for (const { requestId, finishReason } of outputs) if (finishReason !== undefined) ended.add(requestId);
    }
  })();
  const isDone = (): boolean => lines.some((line) => line.includes(outcome));
  for (const id of outcome === 'kept' ? ['a', 'b'] : []) {
    ask(id);
    await vi.waitUntil(() => ended.has(id));
  }
  await vi.waitUntil(isDone);
  stop.abort();
  model.destroy();
}

test('one set for each model file, KV type, numerics and adapter; the same again is the same set', async () => {
  const storage = memoryStorage<PrefixManifest>();
  const numSets = (): number => storage.manifests.size;
  const common = { storage, persistPrefixCache: true } as const;
  await visit(common);
  expect(numSets()).toBe(1);
  expect([...storage.manifests.values()][0]?.blocks).toHaveLength(9);
  await visit(common, 'restored');
  expect(numSets()).toBe(1);
  await visit({ ...common, kvCacheDtype: 'int8' });
  expect(numSets()).toBe(2);
  await visit({ ...common, device: 'another' });
  expect(numSets()).toBe(3);
  await visit({ ...common, numerics: 'dp4a' });
  expect(numSets()).toBe(4);
  // Another checkpoint: the header, the size and the name are the same.
  await visit({ ...common, file: bytes.map((byte, i) => (i === bytes.length - 100 ? byte ^ 1 : byte)) });
  expect(numSets()).toBe(5);
});

test('nothing is kept, deleted, hashed or made ready unless it is asked for', async () => {
  const storage = memoryStorage<PrefixManifest>();
  await visit({ storage, persistPrefixCache: true });
  const { model, loadRunner } = await load({ storage });
  expect(loadRunner.mock.calls[0]?.[0].blockTransfer).toBe(false);
  expect(model.info.settings).toEqual({});
  expect(storage.manifests.size).toBe(1);
});

/** A worker over a storage, and its tabs. */
function openWorker(storage = memoryStorage<PrefixManifest>()) {
  const prefixes = new KeptPrefixes(() => storage);
  const loadModel = createModelLoader({ loadRunner: runnerOf('this one'), baseUrl: 'https://x.test/', prefixes });
  const manager = openManager({ loadModel, prefixes, clock: () => performance.now() });
  const source = new File([bytes], 'tiny.gguf', { lastModified: 1 });
  const open = async (settings: Omit<LoadOptions, 'source'> = {}): Promise<Tab> => {
    const tab = new Tab(crypto.randomUUID(), manager);
    await tab.load({ source, ...settings });
    return tab;
  };
  return { storage, open };
}

const linesOf = ({ frames }: Tab): string[] => frames.flatMap((frame) => (frame.type === 'log' ? [frame.message] : []));

let numRequests = 0;

/** Asks for the answer to a prompt, and waits until it has come. */
async function ask(tab: Tab, text: string): Promise<void> {
  const requestId = String(numRequests++);
  void tab.generate(requestId, { prompt: { tokenIds: tokensOf(text) }, maxTokens: 2 });
  await vi.waitUntil(() => tab.frames.some((frame) => frame.type === 'finish' && frame.request === requestId));
}

/** A prompt of nine full blocks and a bit. */
const tokensOf = (text: string): number[] => Array.from({ length: 150 }, (_, i) => 3 + ((i * text.length) % 200));

/** The first tokens of what is kept, of each prompt. */
const keptStarts = (storage: ReturnType<typeof memoryStorage<PrefixManifest>>): string[] =>
  [...storage.manifests.values()].flatMap(({ blocks }) => blocks.filter(({ parent }) => parent === '').map(({ tokenIds }) => tokenIds.join()));
const startOf = (text: string): string => tokensOf(text).slice(0, 16).join();

test.each([[false], [undefined]])('requests of a tab with %s are not kept where another tab loaded the model with true', async (setting) => {
  const { storage, open } = openWorker();
  const keeps = await open({ persistPrefixCache: true });
  const optsOut = await open(setting === undefined ? {} : { persistPrefixCache: setting });
  for (let i = 0; i < 3; i++) await ask(optsOut, 'private');
  for (let i = 0; i < 2; i++) await ask(keeps, 'of the first');
  await vi.waitUntil(() => linesOf(keeps).some((line) => line.includes('kept 9 more')));
  expect(keptStarts(storage)).toEqual([startOf('of the first')]);
  // It asks the same itself, and may have that kept.
  for (let i = 0; i < 2; i++) await ask(keeps, 'private');
  await vi.waitUntil(() => keptStarts(storage).length === 2);
});

test('a tab that comes to the next worker with the settings that held in the last one is kept no more than there', async () => {
  const { storage, open } = openWorker();
  const optsOut = await open({ persistPrefixCache: true, persistOwnPrefixes: false });
  const keeps = await open({ persistPrefixCache: true, persistOwnPrefixes: true });
  for (let i = 0; i < 3; i++) await ask(optsOut, 'private');
  for (let i = 0; i < 2; i++) await ask(keeps, 'of the second');
  await vi.waitUntil(() => keptStarts(storage).length > 0);
  expect(keptStarts(storage)).toEqual([startOf('of the second')]);
});

test('false deletes what was kept of all models, also while one is loaded with true; that one keeps what comes', async () => {
  const storage = memoryStorage<PrefixManifest>();
  await visit({ storage, persistPrefixCache: true, device: 'another' });
  const { open } = openWorker(storage);
  const keeps = await open({ persistPrefixCache: true });
  for (let i = 0; i < 2; i++) await ask(keeps, 'before');
  await vi.waitUntil(() => storage.manifests.size === 2);
  await vi.waitUntil(() => linesOf(keeps).some((line) => line.includes('kept 9 more')));
  await open({ persistPrefixCache: false });
  // The set of the engine that goes on is empty.
  await vi.waitUntil(() => storage.manifests.size === 1 && keptStarts(storage).length === 0 && storage.parts.size === 0);
  for (let i = 0; i < 2; i++) await ask(keeps, 'afterwards, longer');
  await vi.waitUntil(() => storage.parts.size === 9);
  expect(keptStarts(storage)).toEqual([startOf('afterwards, longer')]);
});

test('what another engine of the origin deletes is not written again by one that goes on', async () => {
  const storage = memoryStorage<PrefixManifest>();
  const { open } = openWorker(storage);
  const keeps = await open({ persistPrefixCache: true });
  for (let i = 0; i < 2; i++) await ask(keeps, 'before');
  await vi.waitUntil(() => keptStarts(storage).length === 1);
  await openWorker(storage).open({ persistPrefixCache: false });
  await vi.waitUntil(() => storage.manifests.size + storage.parts.size === 0);
  // The first of these finds out; what is asked from then on is kept, and what was asked before is not.
  for (let i = 0; i < 4; i++) await ask(keeps, 'afterwards, longer');
  await vi.waitUntil(() => storage.parts.size === 9);
  expect(keptStarts(storage)).toEqual([startOf('afterwards, longer')]);
  // Nor is what was hot when there was nothing to delete yet.
  await ask(keeps, 'hot, but not kept yet');
  await openWorker(storage).open({ persistPrefixCache: false });
  await vi.waitUntil(() => storage.manifests.size + storage.parts.size === 0);
  await ask(keeps, 'hot, but not kept yet');
  await vi.waitUntil(() => storage.manifests.size === 1);
  expect([keptStarts(storage), storage.parts.size]).toEqual([[], 0]);
});

test('false deletes what was kept where nothing is loaded yet; a storage that refuses that is told of, and the model loads', async () => {
  const storage = memoryStorage<PrefixManifest>();
  await visit({ storage, persistPrefixCache: true });
  const { open } = openWorker(storage);
  const tab = await open({ persistPrefixCache: false });
  await vi.waitUntil(() => storage.manifests.size === 0 && storage.parts.size === 0);
  expect(tab.state).toBe('ready');
  storage.listUrls = () => Promise.reject(new Error('refused'));
  const refused = await openWorker(storage).open({ persistPrefixCache: false });
  await vi.waitUntil(() => linesOf(refused).some((line) => line.includes('could not be deleted') && line.includes('refused')));
});

test('false is no setting of the model: it is not loaded anew for it, nor does its next load delete anything', async () => {
  const { open } = openWorker();
  const keeps = await open({ persistPrefixCache: true });
  keeps.leave();
  const optsOut = await open({ persistPrefixCache: false });
  expect(linesOf(optsOut).filter((line) => line.includes('KV cache'))).toEqual([]);
  const other = openWorker();
  const first = await other.open({ persistPrefixCache: false });
  expect(await first.load({ source: new File([bytes], 'tiny.gguf', { lastModified: 1 }) })).toMatchObject({ settings: {} });
});

test('maxBytes is the limit, and the setting is told to the next worker', async () => {
  const storage = memoryStorage<PrefixManifest>();
  const persistPrefixCache = { maxBytes: 5 * 8 } as const;
  await visit({ storage, persistPrefixCache });
  expect(storage.parts.size).toBe(5);
  expect((await load({ persistPrefixCache })).model.info.settings).toEqual({ persistPrefixCache });
});
