import { afterEach, describe, expect, test, vi } from 'vitest';
import { kvCacheDtypeOf } from '../../../src/core/kv-cache-dtype.ts';
import { TabserveError } from '../../../src/core/errors.ts';
import type { LoadProgress } from '../../../src/core/progress.ts';
import type { ModelRunner } from '../../../src/core/scheduler-output.ts';
import { runSync } from '../../../src/core/cooperative-task.ts';
import { VisibleClock } from '../../../src/core/visible-clock.ts';
import { readModelConfig } from '../../../src/models/architectures.ts';
import type { LoadRunnerOptions } from '../../../src/runner/load-runner.ts';
import { createModelLoader } from '../../../src/worker/load-model.ts';
import type { LoadContext } from '../../../src/worker/served-model.ts';
import { openManager, Tab } from '../../support/tab.ts';
import { startFileServer } from '../../support/file-server.ts';
import { writeGguf } from '../../support/gguf-writer.ts';
import { tinyModelContents } from '../../support/tiny-model.ts';
import { noProfiler } from '../../support/fake-profiler.ts';

const contents = tinyModelContents({ type: 'Q8_0' });
const recommended = { 'general.sampling.temp': { type: 'f32', value: 0.6 } } as const;
const bytes = writeGguf({ ...contents, metadata: { ...contents.metadata, ...recommended } });
const source = new File([bytes], 'tiny.gguf', { lastModified: 1 });
const destroyed = vi.fn();
afterEach(() => destroyed.mockClear());

/** Says the same token at every step. */
const runner: ModelRunner = {
  execute: async ({ requests, numSteps }) => ({
    sampledTokenIds: new Map(requests.map(({ requestId }) => [requestId, Array<number>(numSteps).fill(68)])),
  }),
};

async function loadRunner({ file, kvCacheDtype, numerics = 'f32', log, onStage }: LoadRunnerOptions) {
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
    kvCacheDtype: kvCacheDtypeOf(kvCacheDtype, true),
    numerics,
    kvCacheBytes: 4096,
    contextCut: 'kv_cache_bytes' as const,
    kvCacheCut: 'gpu_refused' as const,
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
  const beginWait = () => () => {};
  const visibleClock = new VisibleClock(() => performance.now());
  return { progress, lines, onProgress, beginWait, signal, log, clock: () => performance.now(), visibleClock, reserve };
}

test('a file becomes a model that answers: file, tokenizer, runner, scheduler and engine, wired', async () => {
  const { progress, lines, ...rest } = context();
  const model = await createModelLoader({ loadRunner, baseUrl: 'https://x.test/' })(
    { source, kvCacheDtype: 'int8', numerics: 'dp4a', hub: { token: 'hf_secret' } },
    rest,
  );
  expect(model.info.settings).toEqual({ kvCacheDtype: 'int8', numerics: 'dp4a' }); // other tabs are told of them
  expect(model.info).toMatchObject({ id: 'tiny.gguf', architecture: 'llama', fileBytes: bytes.length, vocabSize: 300 });
  expect(model.info).toMatchObject({ kvCacheDtype: 'int8', numerics: 'dp4a', kvCacheBytes: 4096, recommendedSampling: { temperature: 0.6 } });
  expect(lines).toContain('warn: granted less');
  expect(model.info).toMatchObject({ contextLength: 512, maxModelLen: 8 * 16 }); // what the KV cache holds
  expect(model.info).toMatchObject({ contextCut: 'kv_cache_bytes', kvCacheCut: 'gpu_refused' });
  expect(progress.map(({ stage }) => stage)).toEqual(expect.arrayContaining(['open', 'load', 'compile']));
  expect(progress.at(-1)).toMatchObject({ stage: 'compile', bytesTotal: bytes.length });

  const promptTokenIds = runSync(model.tokenizer.chatTask([{ role: 'user', content: 'Hi' }]));
  const sampling = { temperature: 0, seed: 1, maxTokens: 3, stopTokenIds: model.tokenizer.stopTokenIds };
  model.engine.add({ requestId: 'r', sessionId: 's', choice: 0, promptTokenIds, sampling, arrivalTime: 0 });
  expect(model.engine.snapshot()).toMatchObject({
    requests: [{ requestId: 'r', state: 'waiting', numTokens: promptTokenIds.length }], pool: { numBlocks: 8 },
  });
  const ids: number[] = [];
  const stop = new AbortController();
  for await (const [output] of model.engine.run(stop.signal)) {
    ids.push(...(output?.newTokenIds ?? []));
    if (output?.finishReason !== undefined) stop.abort();
  }
  model.destroy();
  expect(ids).toEqual([68, 68, 68]);
  expect(destroyed).toHaveBeenCalledOnce();
});

test('what a file says of its tokens that is left out is logged', async () => {
  const contents = tinyModelContents({ type: 'Q8_0' });
  const metadata = { ...contents.metadata, 'tokenizer.ggml.eos_token_id': { type: 'i32', value: -1 } } as const;
  const file = new File([writeGguf({ ...contents, metadata })], 'odd.gguf', { lastModified: 1 });
  const { lines, ...rest } = context();
  const model = await createModelLoader({ loadRunner, baseUrl: '' })({ source: file }, rest);
  expect(lines).toEqual(expect.arrayContaining([expect.stringMatching(/^warn: .*eos_token_id is -1/)]));
  expect(model.tokenizer.stopTokenIds).toEqual([0, 2]);
});

test('a template that cannot be rendered refuses the model by its header alone', async () => {
  const never = vi.fn(loadRunner);
  const { metadata, tensors } = tinyModelContents({ type: 'Q8_0' });
  const template = { type: 'string', value: "{{ messages[0].content | shout }}" } as const;
  const faulty = new File([writeGguf({ metadata: { ...metadata, 'tokenizer.chat_template': template }, tensors })], 'faulty.gguf');
  const loading = createModelLoader({ loadRunner: never, baseUrl: '' })({ source: faulty }, context());
  await expect(loading).rejects.toMatchObject({ code: 'unsupported_model', message: expect.stringContaining("'shout'") as string });
  expect(never).not.toHaveBeenCalled();
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

/** A model whose file has this chat template, or none. */
function modelWith(template: string | undefined): Uint8Array<ArrayBuffer> {
  const { metadata, tensors } = tinyModelContents({ type: 'Q8_0' });
  const { 'tokenizer.chat_template': _own, ...rest } = metadata;
  const value = template === undefined ? {} : { 'tokenizer.chat_template': { type: 'string', value: template } as const };
  return writeGguf({ metadata: { ...rest, ...value }, tensors });
}

const hi = [{ role: 'user', content: 'Hi' }] as const;
const refusal = (code: string, more: object = {}): unknown => expect.objectContaining({ name: 'TabserveError', code, ...more });

describe('the chat template', () => {
  const load = (template: string | undefined, settings: { readonly chatTemplate?: string } = {}) => {
    const { lines, progress, ...rest } = context();
    const file = new File([modelWith(template)], 'tiny.gguf');
    const loading = createModelLoader({ loadRunner, baseUrl: '' })({ source: file, ...settings }, rest);
    return { lines, progress, loading };
  };

  test('is the file’s', async () => {
    const { lines, progress, loading } = load('{{ messages[0].content }}!');
    const { info, tokenizer } = await loading;
    expect(info).toMatchObject({ chatTemplate: 'file', settings: {} });
    expect(runSync(tokenizer.chatTask(hi))).toEqual(runSync(tokenizer.promptTask('Hi!')));
    expect(lines.filter((line) => line.includes('template'))).toEqual([]);
    expect(progress[0]?.chatTemplate).toBeUndefined();
    expect(progress.at(-1)).toMatchObject({ stage: 'compile', chatTemplate: 'file' });
  });

  test.each([undefined, '', ' \n'])('is not there (%j): texts can be continued, chats are refused, both are said', async (template) => {
    const { lines, progress, loading } = load(template);
    const { info, tokenizer } = await loading;
    expect(info.chatTemplate).toBe('none');
    expect(runSync(tokenizer.promptTask('Hi')).length).toBeGreaterThan(0);
    const advice = expect.stringMatching(/chatTemplate.*client\.completions/) as unknown;
    expect(() => runSync(tokenizer.chatTask(hi))).toThrow(refusal('unsupported_model', { message: advice }) as Error);
    expect(lines).toContainEqual(expect.stringMatching(/^warn: .*no chat template.*client\.completions/));
    expect(lines.join()).not.toContain('base model');
    const told = progress.findIndex(({ chatTemplate }) => chatTemplate === 'none');
    const done = (index: number): number => progress[index]?.bytesDone ?? 0;
    expect(told).toBeGreaterThan(0);
    expect(done(told)).toBe(done(told - 1)); // with the header, before any other byte
    expect(progress.slice(told).every(({ chatTemplate }) => chatTemplate === 'none')).toBe(true);
  });

  test.each([undefined, 'the file’s own'])('is the one that is given, whatever the file has (%j)', async (template) => {
    const { lines, loading } = load(template, { chatTemplate: 'Q: {{ messages[0].content }}' });
    const { info, tokenizer } = await loading;
    expect(info).toMatchObject({ chatTemplate: 'option', settings: { chatTemplate: 'Q: {{ messages[0].content }}' } });
    expect(runSync(tokenizer.chatTask(hi))).toEqual(runSync(tokenizer.promptTask('Q: Hi')));
    expect(lines.filter((line) => line.includes('template'))).toEqual([]);
  });

  test.each(['{% if %}', '{{ messages', 'x'.repeat(65_537)])('that is given and cannot be read is its giver’s fault: %#', async (given) => {
    const never = vi.fn(loadRunner);
    const loading = createModelLoader({ loadRunner: never, baseUrl: '' })({ source, chatTemplate: given }, context());
    await expect(loading).rejects.toEqual(refusal('invalid_request', { param: 'chatTemplate' }));
    expect(never).not.toHaveBeenCalled();
  });
});

test('a session that wants to chat is told with the header that it cannot: no other byte is fetched, no memory taken', async () => {
  const content = new Uint8Array(9 * 2 ** 20); // the header is in the first part of two
  content.set(modelWith(undefined));
  const server = await startFileServer({ '/m.gguf': content });
  const readsAll = vi.fn(async (options: LoadRunnerOptions) => {
    await options.file.source.read(content.length - 1, 1);
    return loadRunner(options);
  });
  const loadModel = createModelLoader({ loadRunner: readsAll, baseUrl: server.origin });
  const manager = openManager({ loadModel });
  const [chats, continues] = [new Tab('a', manager), new Tab('b', manager)];
  const options = { source: `${server.origin}/m.gguf` };
  await expect(chats.load({ ...options, requireChat: true })).rejects.toEqual(refusal('unsupported_model'));
  expect(server.log.map(({ range }) => range)).toEqual(['bytes=0-63', `bytes=0-${8 * 2 ** 20 - 1}`]);
  expect(readsAll).not.toHaveBeenCalled();
  expect(manager.metrics().models).toEqual([]);

  expect(await continues.load(options)).toMatchObject({ chatTemplate: 'none' });
  expect(server.log.map(({ range }) => range)).toContain(`bytes=${8 * 2 ** 20}-${9 * 2 ** 20 - 1}`);
  await server.close();
});
