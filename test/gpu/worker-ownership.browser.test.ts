import { describe, expect, test } from 'vitest';
import type { Client } from '../../src/client/client.ts';
import { injectFault } from '../../src/testing.ts';
import { fakeClient, openTab, streamText, until } from '../support/fake-worker-tab.ts';

// Real workers, Web Locks, message ports and BroadcastChannels; no GPU.

const WAYS = ['shared-worker', 'elected', 'elected-broadcast'] as const;

describe.each(WAYS)('with the engine in: %s', (ownership) => {
  const prompts = ['One', 'Three', 'Eleven']; // of three lengths, which the fake runner tells apart

  async function clients(count: number): Promise<Client[]> {
    const name = crypto.randomUUID();
    const opened: Client[] = [];
    for (let i = 0; i < count; i++) opened.push(await fakeClient(name, { ownership }));
    return opened;
  }

  test('answers are those of any other way', async () => {
    const [client] = (await clients(1)) as [Client];
    const other = await fakeClient(crypto.randomUUID());
    expect(await streamText(client, 'One', 50)).toBe(await streamText(other, 'One', 50));
    await Promise.all([client.close(), other.close()]);
  });

  test.each(['worker_died', 'device_lost'] as const)('%s, again and again: no token is lost, none comes twice', async (fault) => {
    const opened = (await clients(3)) as [Client, Client, Client];
    const alone = await Promise.all(prompts.map((prompt) => streamText(opened[0], prompt, 150)));
    expect(new Set(alone).size).toBe(3);
    const statuses: string[] = [];
    opened[1].onStatus(({ state }) => statuses.push(state));
    const streams = opened.map((client, i) => streamText(client, prompts[i] ?? '', 150));
    for (let i = 0; i < 3; i++) {
      const before = (await opened[0].metrics()).generationTokens;
      await until(async () => (await opened[0].metrics()).generationTokens > before + 30);
      await injectFault(opened[0], fault);
    }
    expect(await Promise.all(streams)).toEqual(alone);
    expect(statuses.filter((state) => state === 'ready').length).toBeGreaterThanOrEqual(3);
    await Promise.all(opened.map((client) => client.close()));
  });

  test('the tab that came first goes, and the others\u2019 answers go on', async () => {
    const name = crypto.randomUUID();
    const first = await openTab(name, ownership);
    const [client, other] = [await fakeClient(name, { ownership }), await fakeClient(name, { ownership })];
    const alone = await streamText(client, 'One', 120);
    const streams = [streamText(client, 'One', 120), streamText(other, 'One', 120)];
    await until(async () => (await client.metrics()).requestsRunning === 3);
    first.remove();
    expect(await Promise.all(streams)).toEqual([alone, alone]);
    await until(async () => (await client.metrics()).sessions === 2);
    await client.close();
    expect(await streamText(other, 'One', 120)).toBe(alone);
    await other.close();
  });
});

test.each(WAYS)('%s: one engine of the origin has the GPU: another release\u2019s waits until it is idle, and gives it back likewise', async (ownership) => {
  const [one, two] = [crypto.randomUUID(), crypto.randomUUID()];
  const first = await fakeClient(one, { ownership });
  const earlier = await fakeClient(two, { ownership }); // so that the other release's worker has started
  const answers = Promise.all([streamText(first, 'One', 330), streamText(first, 'One', 450)]);
  await until(async () => (await first.metrics()).requestsRunning === 2);
  expect((await earlier.metrics()).state).toBe('parked');
  const stages: string[] = [];
  const second = await fakeClient(two, { ownership, onProgress: ({ stage }) => stages.push(stage) });
  expect(await Promise.race([answers, Promise.resolve('still under way')])).not.toBe('still under way');
  expect(stages[0]).toBe('wait');
  expect((await first.metrics()).state).toBe('parked');
  expect(await streamText(first, 'One', 330)).toBe((await answers)[0]);
  expect((await second.metrics()).state).toBe('parked');
  await Promise.all([first.close(), earlier.close(), second.close()]);
});
