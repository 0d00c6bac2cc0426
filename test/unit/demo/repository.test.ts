import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { obstacleOf } from '../../../demo/src/gguf-names.ts';
import { listGgufFiles } from '../../../demo/src/hub-files.ts';
import { hubChoice } from '../../../demo/src/model-choice.ts';
import { Repository, type RepositoryFile } from '../../../demo/src/repository.ts';
import { startFakeHub, type FakeHub } from '../../support/fake-hub.ts';

const COMMIT = '0'.repeat(40);
const file = (bytes: number) => ({ content: new Uint8Array(bytes), lastCommit: COMMIT });
const NAME = { id: 'owner/name', revision: 'main' };

describe('the hub', () => {
  let hub: FakeHub;
  beforeAll(async () => {
    hub = await startFakeHub();
    hub.repos.set('owner/name', {
      revisions: { main: COMMIT, 'v1/b': '1'.repeat(40) },
      commits: {
        [COMMIT]: { 'README.md': file(9), 'model.Q4_1.gguf': file(300), 'sub/dir/Model-F16.GGUF': file(900), 'model.gguf.txt': file(1) },
        ['1'.repeat(40)]: { 'old.gguf': file(5) },
      },
    });
    hub.repos.set('owner/private', { revisions: { main: COMMIT }, commits: { [COMMIT]: {} }, token: 'hf_x' });
  });
  afterAll(() => hub.close());

  const list = (name = NAME, signal = new AbortController().signal) => listGgufFiles(name, signal, hub.server.origin);

  test('tells a repository’s GGUF files, in folders too, at a revision', async () => {
    expect(await list()).toEqual([{ path: 'model.Q4_1.gguf', bytes: 300 }, { path: 'sub/dir/Model-F16.GGUF', bytes: 900 }]);
    expect(await list({ ...NAME, revision: 'v1/b' })).toEqual([{ path: 'old.gguf', bytes: 5 }]);
    expect(hubChoice({ ...NAME, revision: 'v1/b' }, 'old.gguf')).toEqual({ source: 'hf:owner/name/old.gguf@v1/b', label: 'old', babble: false });
  });

  test.each(['owner/none', 'owner/private'])('says that there is no %s for everyone', async (id) => {
    await expect(list({ ...NAME, id })).rejects.toMatchObject({ code: 'model_not_found', message: expect.stringContaining(id) as unknown });
  });

  test.each([[503, 'the status 503'], [0, 'did not answer']])('that fails with %i is told as a failed download', async (status, why) => {
    hub.status = status;
    await expect(list().finally(() => (hub.status = undefined))).rejects.toMatchObject({ code: 'download_failed', message: expect.stringContaining(why) as unknown });
  });

  test('is not waited for by who has left', async () => {
    await expect(list(NAME, AbortSignal.abort())).rejects.toBeDefined();
  });
});

describe('a repository that is browsed', () => {
  const FILES: readonly RepositoryFile[] = [{ path: 'a.gguf', bytes: 1 }];

  test('is the last that was asked for, whichever answers first', async () => {
    const answers: ((files: readonly RepositoryFile[]) => void)[] = [];
    const signals: AbortSignal[] = [];
    const repository = new Repository({
      list: (_name, signal) => new Promise((resolve) => { signals.push(signal); answers.push(resolve); }),
      isOnline: () => true, changed: () => {},
    });
    const first = repository.browse({ ...NAME, id: 'o/first' });
    const second = repository.browse({ ...NAME, id: 'o/second' });
    expect(repository.state).toMatchObject({ kind: 'asking', repository: { id: 'o/second' } });
    answers[1]?.(FILES);
    await second;
    answers[0]?.([]);
    await first;
    expect(repository.state).toEqual({ kind: 'listed', repository: { ...NAME, id: 'o/second' }, files: FILES });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    repository.leave();
    expect(repository.state).toBeUndefined();
  });

  test('that cannot be read is told in words', async () => {
    const failing = (isOnline: boolean) =>
      new Repository({ list: () => Promise.reject({ code: 'download_failed', message: 'why' }), isOnline: () => isOnline, changed: () => {} });
    const [online, offline] = [failing(true), failing(false)];
    await Promise.all([online.browse(NAME), offline.browse(NAME)]);
    expect(online.state).toMatchObject({ kind: 'failed', problem: { title: 'The model could not be fetched', detail: 'why' } });
    expect(offline.state).toMatchObject({ kind: 'failed', problem: { title: 'You are offline' } });
  });
});

test.each([
  ['SmolLM2-135M-Instruct.Q4_1.gguf', undefined],
  ['tinyllama-1.1b-chat-v1.0-q8_0.gguf', undefined],
  ['Qwen3-0.6B-BF16.gguf', undefined],
  ['model_fp16.gguf', undefined],
  ['model.gguf', undefined],
  ['model-7b.gguf', undefined],
  ['Llama-3.2-1B-Instruct-Q4_K_M.gguf', 'Q4_K_M is not supported yet'],
  ['Qwen3-4B-UD-Q2_K_XL.gguf', 'UD-Q2_K_XL is not supported yet'],
  ['model.IQ2_XXS.gguf', 'IQ2_XXS is not supported yet'],
  ['model-Q4_0_4_4.gguf', 'Q4_0_4_4 is not supported yet'],
  ['gpt-oss-20b-mxfp4.gguf', 'MXFP4 is not supported yet'],
  ['big-Q4_0-00001-of-00003.gguf', 'One of several parts: not supported yet'],
  ['mmproj-model-f16.gguf', 'For images: not a language model'],
])('what a file’s name tells: %s', (path, obstacle) => expect(obstacleOf(path)).toBe(obstacle));
