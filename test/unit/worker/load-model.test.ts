import { afterEach, expect, test, vi } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import type { LoadProgress } from '../../../src/core/progress.ts';
import type { ModelRunner } from '../../../src/core/scheduler-output.ts';
import { readModelConfig } from '../../../src/models/architectures.ts';
import type { LoadRunnerOptions } from '../../../src/runner/load-runner.ts';
import { createModelLoader } from '../../../src/worker/load-model.ts';
import type { LoadContext } from '../../../src/worker/served-model.ts';
import { tinyModel } from '../../support/tiny-model.ts';
import { noProfiler } from '../../support/fake-profiler.ts';

const bytes = tinyModel({ type: 'Q8_0' });
const source = new File([bytes], 'tiny.gguf', { lastModified: 1 });
const destroyed = vi.fn();
afterEach(() => destroyed.mockClear());

/** Says the same token at every step. */
const runner: ModelRunner = {
  execute: async ({ requests, numSteps }) => ({
    sampledTokenIds: new Map(requests.map(({ requestId }) => [requestId, Array<number>(numSteps).fill(68)])),
  }),
};

async function loadRunner({ file, kvCacheDtype = 'f32', numerics = 'f32', log, onStage }: LoadRunnerOptions) {
  log?.('warn', 'granted less');
  onStage?.('load');
  for (const { offset, byteLength } of file.tensors) await file.source.read(offset, byteLength);
  onStage?.('compile');
  return {
    runner,
    config: readModelConfig(file),
    scheduler: {
      blockSize: 16, numBlocks: 8, maxNumBatchedTokens: 32, maxNumSeqs: 4, maxModelLen: 512, maxStepsPerPlan: 1,
    },
    adapter: { vendor: '', architecture: '', device: '', description: '', isSoftware: true, features: [] },
    kvCacheDtype,
    numerics,
    kvCacheBytes: 4096,
    gpuBytes: 4096,
    profiler: noProfiler,
    counters: () => ({ steps: 0, dispatches: 0, submits: 0, bindGroupsCreated: 0, bytesReadBack: 0 }),
    lost: new Promise<TabserveError>(() => {}),
    loseDevice: () => {},
    destroy: destroyed,
  };
}

function context(signal = new AbortController().signal) {
  const progress: LoadProgress[] = [];
  const onProgress = (each: LoadProgress): void => void progress.push(each);
  const lines: string[] = [];
  const log = (level: string, message: string): void => void lines.push(`${level}: ${message}`);
  const reserve: LoadContext['reserve'] = async ({ wantedBytes }) => wantedBytes;
  return { progress, lines, onProgress, signal, log, clock: () => performance.now(), reserve };
}

test('a file becomes a model that answers: file, tokenizer, runner, scheduler and engine, wired', async () => {
  const { progress, lines, ...rest } = context();
  const model = await createModelLoader({ loadRunner, baseUrl: 'https://x.test/' })(
    { source, kvCacheDtype: 'int8', numerics: 'dp4a', hub: { token: 'hf_secret' } },
    rest,
  );
  expect(model.info.settings).toEqual({ kvCacheDtype: 'int8', numerics: 'dp4a' }); // other tabs are told of them
  expect(model.info).toMatchObject({ id: 'tiny.gguf', architecture: 'llama', fileBytes: bytes.length, vocabSize: 300 });
  expect(model.info).toMatchObject({ kvCacheDtype: 'int8', numerics: 'dp4a', kvCacheBytes: 4096 });
  expect(lines).toContain('warn: granted less');
  expect(model.info.maxModelLen).toBe(8 * 16); // what the KV cache holds
  expect(progress.map(({ stage }) => stage)).toEqual(expect.arrayContaining(['open', 'load', 'compile']));
  expect(progress.at(-1)).toMatchObject({ stage: 'compile', bytesTotal: bytes.length });

  const promptTokenIds = model.tokenizer.encodeChat([{ role: 'user', content: 'Hi' }]);
  const sampling = { temperature: 0, seed: 1, maxTokens: 3, stopTokenIds: model.tokenizer.stopTokenIds };
  model.engine.add({ requestId: 'r', sessionId: 's', choice: 0, promptTokenIds, sampling, arrivalTime: 0 });
  expect(model.engine.snapshot()).toMatchObject({
    requests: [{ requestId: 'r', state: 'waiting', numTokens: promptTokenIds.length }], pool: { numBlocks: 8 },
  });
  const ids: number[] = [];
  for await (const [output] of model.engine.run()) {
    ids.push(...(output?.newTokenIds ?? []));
    if (output?.finishReason !== undefined) model.destroy();
  }
  expect(ids).toEqual([68, 68, 68]);
  expect(destroyed).toHaveBeenCalledOnce();
});

test('a load that is given up ends at its next read', async () => {
  const cancel = new AbortController();
  const slow = async (options: LoadRunnerOptions) => {
    cancel.abort(new TabserveError('aborted', 'given up'));
    return loadRunner(options);
  };
  const loading = createModelLoader({ loadRunner: slow, baseUrl: '' })({ source }, context(cancel.signal));
  await expect(loading).rejects.toMatchObject({ code: 'aborted', message: 'given up' });
});

test('what is no model is refused before the runner is asked', async () => {
  const never = vi.fn(loadRunner);
  const page = new File(['<html>'], 'page.gguf');
  const loading = createModelLoader({ loadRunner: never, baseUrl: '' })({ source: page }, context());
  await expect(loading).rejects.toMatchObject({ code: 'unsupported_model' });
  expect(never).not.toHaveBeenCalled();
});
