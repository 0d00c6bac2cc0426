import { runInThisContext } from 'node:vm';
import { expect, test } from 'vitest';
import { Client } from '../../../src/client/client.ts';
import { documentedCode } from '../../support/documented-code.ts';
import { bytes } from '../../support/fake-model.ts';
import { FakeOrigin } from '../../support/fake-origin.ts';
import { until } from '../../support/until.ts';

test('the code of docs/usage.md logs what its comments say, and closes the client', async () => {
  const origin = new FakeOrigin();
  const connection = await origin.connect();
  const loading = connection.load({ source: 'm' }, () => {});
  await until(() => origin.loader.loads.length > 0);
  origin.loader.last.finish();
  const client = new Client(connection, await loading, ['m']);
  const { engine } = origin.loader.last;

  const logged: unknown[] = [];
  const use = runInThisContext(`async (client, console) => {\n${documentedCode('usage.ts')}}`) as (...args: readonly unknown[]) => Promise<void>;
  const running = use(client, { log: (value: unknown) => logged.push(value) });
  await until(() => engine.live.size === 1);
  expect([...engine.live.values()][0]).toMatchObject({ promptTokenIds: bytes('Once upon a time'), sampling: { maxTokens: 32 } });
  engine.step({ id: engine.only, tokens: bytes(', there was'), finish: 'length' });
  await running;

  expect(logged).toEqual([
    ', there was',
    expect.objectContaining({ sessions: 1, requestsWaiting: 0 }),
    expect.objectContaining({ sessions: [{ session: 1, isOwn: true }], requests: [] }),
    expect.objectContaining({ dispatchUs: 2 }),
    expect.objectContaining({ phase: 'decode', kernels: [] }),
  ]);
  await expect(client.metrics()).rejects.toMatchObject({ code: 'closed' });
  origin.close();
});
