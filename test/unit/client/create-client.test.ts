import { afterEach, beforeEach, expect, test } from 'vitest';
import { createClient } from '../../../src/client/create-client.ts';
import type { ClientOptions } from '../../../src/client/create-client.ts';
import { FakePage } from '../../support/fake-page.ts';
import { until } from '../../support/until.ts';

let page: FakePage;

beforeEach(() => {
  page = new FakePage();
});

afterEach(() => page.close());

const workerUrl = '/engine-worker.js';

test.each<[string, string, object]>([
  ['a path that is none', 'model', { model: '//[' }],
  ['no model', 'model', {}],
  ['a way to the engine that there is not', 'ownership', { model: 'm', ownership: 'dedicated' }],
  ['a salt without a character', 'cacheSalt', { model: 'm', cacheSalt: '' }],
  ['a salt that is no text', 'cacheSalt', { model: 'm', cacheSalt: 7 }],
  ['a controller in place of its signal', 'signal', { model: 'm', signal: new AbortController() }],
])('%s is refused by name, and nothing is held', async (_what, param, options) => {
  const refused = createClient({ workerUrl, ...options } as ClientOptions);
  await expect(refused).rejects.toMatchObject({ name: 'TabserveError', code: 'invalid_request', param });
  await until(() => !page.origin.locks.held.some((name) => name.startsWith('tabserve:session')));
});

test('an option that cannot be sent to the worker is the caller’s mistake', async () => {
  const options = { model: 'm', workerUrl, hub: { endpoint: () => 'https://hub.example' } } as unknown as ClientOptions;
  await expect(createClient(options)).rejects.toMatchObject({ code: 'invalid_request', message: expect.stringContaining('cannot be sent') as string });
});

test('a controller in place of a request’s signal is refused', async () => {
  const opening = createClient({ model: 'm', workerUrl });
  await until(() => (page.origin.loader?.loads.length ?? 0) > 0);
  page.origin.loader.last.finish();
  const client = await opening;
  const options = { signal: new AbortController() } as unknown as { signal: AbortSignal };
  const refused = client.chat.completions.create({ messages: [{ role: 'user', content: 'Hi' }] }, options);
  await expect(refused).rejects.toMatchObject({ code: 'invalid_request', param: 'signal' });
});

test('a client’s salt is that of all its requests which give none of their own', async () => {
  const opening = createClient({ model: 'm', workerUrl, cacheSalt: 'mine' });
  await until(() => (page.origin.loader?.loads.length ?? 0) > 0);
  page.origin.loader.last.finish();
  const { chat, completions } = await opening;
  const messages = [{ role: 'user', content: 'Hi' }] as const;
  await chat.completions.create({ messages, stream: true });
  await chat.completions.create({ messages, stream: true, n: 2, tabserve: { priority: 1 } });
  await chat.completions.create({ messages, stream: true, tabserve: { cache_salt: 'its own' } });
  await completions.create({ prompt: 'Hi', stream: true, tabserve: { cache_salt: null } });
  const { live } = page.origin.loader.last.engine;
  expect([...live.values()].map(({ cacheSalt, priority = 0 }) => [cacheSalt, priority])).toEqual([
    ['mine', 0], ['mine', 1], ['mine', 1], ['its own', 0], ['mine', 0],
  ]);
  expect(page.origin.loader.last.options).toEqual({ source: expect.stringMatching(/m$/) as string }); // told to no other tab
});

test.each([
  [{ persistPrefixCache: true }, { persistPrefixCache: false }, 0],
  [{ persistPrefixCache: true }, {}, 0],
  [{}, { persistPrefixCache: true }, 1],
  [{ persistPrefixCache: true }, { persistPrefixCache: { maxBytes: 5 } }, 1],
] as const)('loaded with %o, %o is warned of what does not hold: %i times', async (first, second, times) => {
  const opening = createClient({ model: 'm', workerUrl, ...first });
  await until(() => (page.origin.loader?.loads.length ?? 0) > 0);
  page.origin.loader.last.finish();
  await opening;
  const lines: string[] = [];
  await createClient({ model: 'm', workerUrl, ...second, onLog: ({ message }) => lines.push(message) });
  expect(lines.filter((line) => line.includes('persistPrefixCache'))).toHaveLength(times);
});
