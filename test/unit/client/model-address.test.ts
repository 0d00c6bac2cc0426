import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Client } from '../../../src/client/client.ts';
import { createClientOn } from '../../../src/client/create-client.ts';
import type { ClientOptions } from '../../../src/client/create-client.ts';
import { FakeOrigin } from '../../support/fake-origin.ts';
import { until } from '../../support/until.ts';

const SIGNED = 'https://bucket.example/m.gguf?X-Amz-Date=20260101T000000Z&X-Amz-Signature=s3cret';
let origin: FakeOrigin;

beforeEach(() => {
  origin = new FakeOrigin();
  vi.stubGlobal('document', { baseURI: 'https://page.example/' });
});

afterEach(() => {
  origin.close();
  vi.unstubAllGlobals();
});

/** A client of another tab's. */
async function createClient(options: ClientOptions): Promise<Client> {
  return createClientOn(await origin.connect(), options);
}

async function load(options: ClientOptions): Promise<Client> {
  const creating = createClient(options);
  await until(() => (origin.loader?.loads.length ?? 0) > 0);
  origin.loader.last.finish();
  return creating;
}

const options = (): unknown => origin.loader.last.options;

/** The worker dies, and the clients ask the next one something, which loads what they had. */
async function replaceWorker(...clients: readonly Client[]): Promise<void> {
  const before = origin.workers;
  origin.kill();
  for (const client of clients) client.completions.create({ prompt: 'x' }).catch(() => {}); // is never answered
  await until(() => origin.workers > before && origin.loader.loads.length > 0);
}

test('a file is known by its content to every worker, and a second tab that chooses it joins', async () => {
  const file = (content: string): File => new File([content], 'm.gguf', { lastModified: 1 });
  const one = await load({ model: file('GGUF 1') });
  const first = options();
  expect(first).toMatchObject({ fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) });
  await createClient({ model: file('GGUF 1') }); // it is not loaded anew, or it would wait
  const other = createClient({ model: file('GGUF 2') });
  await until(() => origin.loader.loads.length === 2);
  origin.loader.last.finish();
  await replaceWorker(one, await other); // (in Node a File that has gone through a port has no name)
  const fingerprints = (): unknown[] => origin.loader.loads.map((each) => each.options.fingerprint);
  await until(() => origin.loader.loads.length === 2);
  expect(new Set(fingerprints()).size).toBe(2);
  expect(fingerprints()).toContain((first as { fingerprint: string }).fingerprint);
});

test('a signed link is told to the worker, to the next one too, and to nobody else', async () => {
  const client = await load({ model: SIGNED });
  expect(options()).toEqual({ source: SIGNED });
  expect(client.model.id).toBe('https://bucket.example/m.gguf');
  const messages = [{ role: 'user', content: 'Hi' }] as const;
  for (const model of ['x', SIGNED.replace('/m.', '/n.')]) {
    const refused: unknown = await client.chat.completions.create({ model, messages }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'invalid_request', param: 'model' });
    expect(String(refused)).not.toContain('s3cret');
  }
  for (const model of [SIGNED, client.model.id]) {
    const answer = await client.chat.completions.create({ model, messages, stream: true });
    answer.abort();
  }
  await replaceWorker(client);
  expect(options()).toEqual({ source: SIGNED });
});

test('a cacheKey is told to the worker, and to the next one', async () => {
  const asked = { model: 'm.gguf?link=1', cacheKey: 'my model', kvCacheBytes: 5 };
  const client = await load(asked);
  expect(client.model).toMatchObject({ id: 'my model', settings: { kvCacheBytes: 5 } });
  await createClient({ ...asked, model: 'm.gguf?link=2' });
  await replaceWorker(client);
  expect(options()).toMatchObject({ source: expect.stringMatching(/^https:\/\/page\.example\/m\.gguf\?link=/), cacheKey: 'my model', kvCacheBytes: 5 });
});

test('a file that is gone is refused before anything is loaded', async () => {
  const real = Blob;
  vi.stubGlobal('Blob', class extends real {
    override arrayBuffer = () => Promise.reject(new DOMException('gone', 'NotFoundError'));
  });
  const refused = createClient({ model: new File(['GGUF'], 'm.gguf') });
  await expect(refused).rejects.toMatchObject({ code: 'model_not_found', name: 'TabserveError' });
  expect(origin.loader.loads).toEqual([]);
});
