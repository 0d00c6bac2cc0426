import { afterEach, beforeEach, expect, test } from 'vitest';
import { Client } from '../../src/client/client.ts';
import { injectFault } from '../../src/testing.ts';
import { FakeOrigin } from '../support/fake-origin.ts';
import { until } from '../support/until.ts';

let origin: FakeOrigin;
let client: Client;

beforeEach(async () => {
  origin = new FakeOrigin();
  const session = await origin.connect();
  const loading = session.load({ source: 'm' }, () => {});
  await until(() => origin.loader.loads.length > 0);
  origin.loader.last.finish();
  client = new Client(session, await loading, ['m']);
});

afterEach(() => origin.close());

test('device_lost: the model is loaded again, in the same worker', async () => {
  await injectFault(client, 'device_lost');
  await until(() => origin.loader.loads.length === 2);
  expect(origin.workers).toBe(1);
});

test('worker_died: one worker dies, and the next one is not told to', async () => {
  await injectFault(client, 'worker_died');
  expect((await client.metrics()).sessions).toBe(1);
  expect(origin.workers).toBe(2);
});

test('a client that is closed breaks nothing', async () => {
  await client.close();
  await expect(injectFault(client, 'worker_died')).rejects.toMatchObject({ code: 'closed' });
  expect(origin.workers).toBe(1);
});
