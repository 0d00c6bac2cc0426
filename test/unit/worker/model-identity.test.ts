import { beforeEach, describe, expect, test } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import type { ModelAddress } from '../../../src/core/protocol.ts';
import type { ModelManager } from '../../../src/worker/model-manager.ts';
import { modelId, modelUrl, sourceKey } from '../../../src/worker/model-identity.ts';
import { FakeLoader } from '../../support/fake-model.ts';
import { openManager, Tab } from '../../support/tab.ts';

const FILE = 'https://bucket.example/m.gguf';
const signed = (signature: string): string => `${FILE}?X-Amz-Date=20260101T000000Z&X-Amz-Signature=${signature}`;
const file = (name: string): File => new File(['GGUF'], name, { lastModified: 1 });
const commit = 'a'.repeat(40);

describe('two tabs mean the same model', () => {
  test.each<[string, ModelAddress, ModelAddress]>([
    ['by two signatures', { source: signed('one') }, { source: signed('two') }],
    ['with a signature and without', { source: signed('one') }, { source: FILE }],
    ['with a fragment', { source: `${FILE}#a` }, { source: FILE }],
    ['by a page of the hub and the file itself', { source: 'https://huggingface.co/o/r/blob/main/f.gguf' }, { source: 'https://huggingface.co/o/r/resolve/main/f.gguf' }],
    ['by one key', { source: `${FILE}?a=1`, cacheKey: 'k' }, { source: 'https://other.example/m.gguf', cacheKey: 'k' }],
    ['by one content', { source: file('a'), fingerprint: 'f' }, { source: file('b'), fingerprint: 'f' }],
    ['of the same hub', { source: 'hf:o/r/f.gguf' }, { source: 'HF:o/r/f.gguf@main', hub: { endpoint: 'https://huggingface.co/', token: 'hf_x' } }],
  ])('%s', (_case, a, b) => {
    expect(sourceKey(a)).toBe(sourceKey(b));
  });
});

describe('two tabs do not mean the same model', () => {
  test.each<[string, ModelAddress, ModelAddress]>([
    ['by queries that are no signatures', { source: `${FILE}?file=a` }, { source: `${FILE}?file=b` }],
    ['by secrets that are no signatures', { source: `${FILE}?token=a` }, { source: `${FILE}?token=b` }],
    ['by two keys', { source: FILE, cacheKey: 'k' }, { source: FILE, cacheKey: 'l' }],
    ['by a key and a URL of its letters', { source: 'https://x.example/a.gguf', cacheKey: FILE }, { source: FILE }],
    ['by files of one name, size and date', { source: file('a'), fingerprint: 'f' }, { source: file('a'), fingerprint: 'g' }],
    ['by files that nothing is known of', { source: file('a') }, { source: file('a') }],
    ['by two hubs', { source: 'hf:o/r/f.gguf' }, { source: 'hf:o/r/f.gguf', hub: { endpoint: 'https://mirror.example' } }],
    ['by two revisions', { source: 'hf:o/r/f.gguf' }, { source: `hf:o/r/f.gguf@${commit}` }],
    ['by what is refused', { source: 'hf:o', hub: { endpoint: 'mirror' } }, { source: 'hf:p', hub: { endpoint: 'mirror' } }],
    ['by a hub name and a URL', { source: 'hf:o/r/f.gguf' }, { source: 'https://huggingface.co/o/r/resolve/main/f.gguf' }],
  ])('%s', (_case, a, b) => {
    expect(sourceKey(a)).not.toBe(sourceKey(b));
  });

  test('but a file is itself', () => {
    const one = file('a');
    expect(sourceKey({ source: one })).toBe(sourceKey({ source: one }));
  });
});

test.each<[ModelAddress, string, string | undefined]>([
  [{ source: signed('s3cret') }, FILE, FILE],
  [{ source: signed('s3cret'), cacheKey: 'my model' }, 'my model', undefined],
  [{ source: 'hf:o/r/f.gguf', hub: { token: 's3cret' } }, 'hf:o/r/f.gguf', 'hf:o/r/f.gguf'],
  [{ source: file('a.gguf'), fingerprint: 'f' }, 'a.gguf', undefined],
])('what %j is called, and joined by', (address, id, url) => {
  expect(modelId(address)).toBe(id);
  expect(modelUrl(address)).toBe(url);
});

describe('on the GPU', () => {
  let loader: FakeLoader;
  let manager: ModelManager;
  const open = (sessionId: string): Tab => new Tab(sessionId, manager);
  const settle = () => new Promise((resolve) => setTimeout(resolve));
  const denied = new TabserveError('access_denied', 'expired');
  const sources = (): unknown[] => loader.loads.map(({ options }) => options.source);

  beforeEach(() => {
    loader = new FakeLoader();
    const sleep = () => new Promise<void>((resolve) => setTimeout(resolve, 1));
    manager = openManager({ loadModel: loader.loadModel, clock: () => 0, sleep });
  });

  /** A load under way, and those that join it. */
  async function one<T>(first: Promise<T>, ...others: readonly (() => Promise<T>)[]): Promise<Promise<T>[]> {
    await settle();
    const all = [first, ...others.map((other) => other())];
    await settle();
    return all;
  }

  test('two signatures are one model, which is called by neither', async () => {
    const tabs = [open('a'), open('b')];
    const loads = tabs.map((tab, index) => tab.load({ source: signed(`s3cret ${index}`) }));
    await settle();
    expect(loader.loads).toHaveLength(1);
    loader.last.finish();
    const infos = await Promise.all(loads);
    expect(infos.map(({ id }) => id)).toEqual([FILE, FILE]);
    const [first] = tabs;
    expect(JSON.stringify([infos, first?.metrics])).not.toContain('s3cret');
  });

  test('two files of one name, size and date are two models', async () => {
    const loads = ['f', 'g'].map((fingerprint) => open(fingerprint).load({ source: file('m.gguf'), fingerprint }));
    await settle();
    expect(loader.loads).toHaveLength(2);
    for (const load of loader.loads) load.finish();
    expect((await Promise.all(loads))[1]).toMatchObject({ settings: {} });
  });

  test('a refusal is told to nobody whose link is another: it is tried', async () => {
    const loads = await one(open('a').load({ source: signed('old') }), () => open('b').load({ source: signed('new') }));
    loader.last.fail(denied);
    await settle();
    expect(sources()).toEqual([signed('old'), signed('new')]);
    loader.last.finish();
    await Promise.all(loads);
  });

  test('nor is that of a token', async () => {
    const source = 'hf:o/r/f.gguf';
    const loads = await one(open('a').load({ source }), () => open('b').load({ source, hub: { token: 'hf_right' } }));
    loader.last.fail(denied);
    await settle();
    expect(loader.loads.map(({ options }) => options.hub)).toEqual([undefined, { token: 'hf_right' }]);
    loader.last.finish();
    await Promise.all(loads);
  });

  test('every link is tried once, the last first, and then the refusal is told', async () => {
    const others = ['two', 'two', 'three'];
    const loads = await one(open('first').load({ source: signed('one') }), ...others.map((each, index) => {
      return () => open(`${index}`).load({ source: signed(each) });
    }));
    const results = Promise.allSettled(loads);
    for (const expected of [['one'], ['one', 'three'], ['one', 'three', 'two']]) {
      await settle();
      expect(sources()).toEqual(expected.map(signed));
      loader.last.fail(denied);
    }
    expect((await results).map((result) => result.status === 'rejected' && result.reason)).toEqual([denied, denied, denied, denied]);
    const again = open('again').load({ source: signed('one') });
    await settle();
    expect(sources()).toHaveLength(4); // it may have been the server's mistake
    loader.last.finish();
    await again;
  });

  test('after a GPU loss the last link of the tabs that are there is used', async () => {
    const [first, second, third] = ['a', 'b', 'c'].map((name) => open(name)) as [Tab, Tab, Tab];
    const loads = [first.load({ source: signed('old') }), second.load({ source: signed('newer') }), third.load({ source: signed('newest') })];
    await settle();
    loader.last.finish();
    await Promise.all(loads);
    for (const [gone, expected] of [[undefined, 'newest'], [third, 'newer'], [second, 'old']] as const) {
      if (gone !== undefined) gone.leave();
      loader.last.lose(new TabserveError('device_lost', 'gone'));
      const before = loader.loads.length;
      for (let turn = 0; loader.loads.length === before && turn < 50; turn++) await settle();
      expect(sources().at(-1)).toBe(signed(expected));
      loader.last.finish();
      await settle();
    }
  });

  test('a link with a signature or a token goes before one without, and that before one that has expired', async () => {
    const [bare, expired] = [FILE, `${FILE}?X-Amz-Date=20200101T000000Z&X-Amz-Expires=9&X-Amz-Signature=x`];
    const loads = await one(open('a').load({ source: bare }), ...[signed('good'), expired].map((source, index) => {
      return () => open(`${index}`).load({ source });
    }));
    const results = Promise.allSettled(loads);
    for (const expected of [[bare], [bare, signed('good')], [bare, signed('good'), expired]]) {
      expect(sources()).toEqual(expected);
      loader.last.fail(denied);
      await settle();
    }
    expect((await results).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    const source = 'hf:o/r/f.gguf';
    const first = open('d').load({ source, hub: { token: 'hf_x' } });
    const second = open('e').load({ source });
    await settle();
    expect(loader.last.options.hub).toEqual({ token: 'hf_x' });
    loader.last.finish();
    await Promise.all([first, second]);
  });

  test('an error that another link would not mend is told at once', async () => {
    const loads = [open('a').load({ source: signed('old') }), open('b').load({ source: signed('new') })];
    const results = Promise.allSettled(loads);
    await settle();
    loader.last.fail(new TabserveError('corrupt_model', 'bad'));
    expect((await results).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(loader.loads).toHaveLength(1);
  });
});
