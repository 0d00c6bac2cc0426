import { afterEach, beforeEach, expect, test } from 'vitest';
import { createClient } from '../../../src/client/create-client.ts';
import type { ClientOptions } from '../../../src/client/create-client.ts';
import { FakePage } from '../../support/fake-page.ts';

let page: FakePage;

beforeEach(() => {
  page = new FakePage();
});

afterEach(() => page.close());

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

const workerUrl = '/engine-worker.js';

test.each<[string, string, object]>([
  ['a path that is none', 'model', { model: '//[' }],
  ['no model', 'model', {}],
  ['a way to the engine that there is not', 'ownership', { model: 'm', ownership: 'dedicated' }],
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
