import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Client } from '../../../src/client/client.ts';
import { bytes } from '../../support/fake-model.ts';
import { FakeOrigin } from '../../support/fake-origin.ts';
import { until } from '../../support/until.ts';

// The worker has died, and the next one has not loaded the model yet.

const messages = [{ role: 'user', content: 'Hi' }] as const;
let origin: FakeOrigin;
let client: Client;

beforeEach(async () => {
  origin = new FakeOrigin();
  const session = await origin.connect();
  const loading = session.load({ source: 'm' }, () => {});
  await finishLoad();
  client = new Client(session, await loading, ['m']);
});

afterEach(() => origin.close());

async function finishLoad(): Promise<void> {
  await until(() => (origin.loader?.loads.length ?? 0) > 0);
  origin.loader.last.finish();
}

const ask = (timeout_ms: number | null = null) => client.chat.completions.create({ messages, stream: true, tabserve: { timeout_ms } });
const late = expect.objectContaining({ code: 'deadline_exceeded' });

describe('time limits', () => {
  test('end a request that no worker has, and the next one does not begin it', async () => {
    origin.kill();
    const patient = ask();
    await expect(ask(20)).rejects.toEqual(late);
    await until(() => origin.workers === 2);
    await expect.poll(async () => (await client.metrics()).requestsWaiting).toBe(1);
    await finishLoad();
    await patient;
    expect(origin.loader.last.engine.added).toBe(1);
  });

  test('end a request that was running when its worker died, with what has come of it', async () => {
    const stream = await ask(200);
    origin.loader.last.engine.step({ id: origin.loader.last.engine.only, tokens: bytes('one') });
    await until(() => stream.timings.ttft_ms !== undefined);
    origin.kill();
    let text = '';
    const reading = (async () => {
      for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
    })();
    await expect(reading).rejects.toEqual(late);
    expect(text).toBe('one');
  });

  test('end a request that a worker has and says nothing of, there too', async () => {
    const stream = await ask(20);
    const { engine } = origin.loader.last;
    await expect(stream[Symbol.asyncIterator]().next()).rejects.toEqual(late);
    await until(() => engine.live.size === 0);
  });
});

test('no more requests are taken than may wait: the others are refused at once', async () => {
  origin.kill();
  let answers = 0;
  const refused: unknown[] = [];
  const asked = Array.from({ length: 300 }, () => ask().then(() => answers++, (error: unknown) => refused.push(error)));
  await until(() => refused.length === 172);
  expect(answers).toBe(0);
  const full = expect.objectContaining({ code: 'queue_full', details: { retryAfterMs: 1000 } });
  expect(refused).toEqual(refused.map(() => full));
  await finishLoad();
  await Promise.all(asked);
  expect([answers, refused.length, origin.loader.last.engine.live.size]).toEqual([128, 172, 128]);
});

test('those that a dead worker had wait as well', async () => {
  for (let i = 0; i < 100; i++) await ask();
  origin.kill();
  await until(() => origin.loader.loads.length === 0);
  const results = await Promise.allSettled([
    ...Array.from({ length: 30 }, () => ask()),
    finishLoad(),
  ]);
  expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(2);
  expect(origin.loader.last.engine.live.size).toBe(128);
});
