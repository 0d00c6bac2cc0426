import { expect, test, vi } from 'vitest';
import type { TabserveError } from '../../../src/core/errors.ts';
import type { LoadSettings } from '../../../src/core/protocol.ts';
import type { ModelRunner } from '../../../src/core/scheduler-output.ts';
import type { PrefixManifest } from '../../../src/loader/prefix-store.ts';
import { readModelConfig } from '../../../src/models/architectures.ts';
import type { LoadRunnerOptions } from '../../../src/runner/load-runner.ts';
import { createModelLoader } from '../../../src/worker/load-model.ts';
import { tinyModel } from '../../support/tiny-model.ts';
import { memoryStorage } from '../loader/memory-storage.ts';
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

/** Loads a model whose blocks are eight bytes. */
async function load({ storage = memoryStorage(), file = bytes, device = 'this one', ...settings }: Visit) {
  const loadRunner = vi.fn(async ({ file: model, kvCacheDtype = 'f32', numerics = 'f32', blockTransfer }: LoadRunnerOptions) => {
    for (const { offset, byteLength } of model.tensors) await model.source.read(offset, byteLength);
    const transfer = { blockBytes: 8, read: async () => new Uint8Array(8), write: vi.fn(async () => {}) };
    return {
      runner,
      config: readModelConfig(model),
      scheduler: {
        blockSize: 16, numBlocks: 64, maxNumBatchedTokens: 256, maxNumSeqs: 4, maxModelLen: 512, maxStepsPerPlan: 1,
      },
      adapter: { vendor: '', architecture: '', device, description: '', isSoftware: true, features: [] },
      kvCacheDtype,
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
  const lines: string[] = [];
  const loader = createModelLoader({ loadRunner, baseUrl: 'https://x.test/', prefixStorage: () => storage });
  const source = new File([file], 'tiny.gguf', { lastModified: 1 });
  const model = await loader(
    { source, ...settings },
    {
      onProgress: () => {}, beginWait: () => () => {},
      signal: new AbortController().signal,
      log: (_level, line) => lines.push(line),
      clock: () => performance.now(),
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
    model.engine.add({ requestId, sessionId: 's', choice: 0, promptTokenIds, sampling, arrivalTime: 0 });
  };
  const ended = new Set<string>();
  void (async () => {
    for await (const outputs of model.engine.run()) {
      for (const { requestId, finishReason } of outputs) if (finishReason !== undefined) ended.add(requestId);
    }
  })();
  const isDone = (): boolean => lines.some((line) => line.includes(outcome));
  for (const id of outcome === 'kept' ? ['a', 'b'] : []) {
    ask(id);
    await vi.waitUntil(() => ended.has(id));
  }
  await vi.waitUntil(isDone);
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

test('false deletes what was kept; a storage that refuses that is told of, and the model loads', async () => {
  const storage = memoryStorage<PrefixManifest>();
  await visit({ storage, persistPrefixCache: true });
  await load({ storage, persistPrefixCache: false });
  await vi.waitUntil(() => storage.manifests.size === 0 && storage.parts.size === 0);
  storage.listManifests = () => Promise.reject(new Error('refused'));
  const { lines } = await load({ storage, persistPrefixCache: false });
  await vi.waitUntil(() => lines.some((line) => line.includes('could not be deleted') && line.includes('refused')));
});

test('maxBytes is the limit, and the setting is told to the next worker', async () => {
  const storage = memoryStorage<PrefixManifest>();
  const persistPrefixCache = { maxBytes: 5 * 8 } as const;
  await visit({ storage, persistPrefixCache });
  expect(storage.parts.size).toBe(5);
  expect((await load({ persistPrefixCache })).model.info.settings).toEqual({ persistPrefixCache });
});
