import { expect, test } from 'vitest';
import type { Client, LogLine } from '../../src/client/client.ts';
import { openUnlessAborted } from '../../src/client/create-client.ts';
import { SharedWorkerTransport } from '../../src/client/shared-worker-transport.ts';
import { fakeClient, openTab, streamText, tinyFile, until } from '../support/fake-worker-tab.ts';

// Real SharedWorkers, Web Locks and message ports; no GPU.

const ask = [{ role: 'user', content: 'Hi' }] as const;

async function blocksUsed(client: Client): Promise<number> {
  return (await client.metrics()).kvBlocksUsed;
}

test('a tab that goes away mid-answer says nothing, and its request ends and its blocks are free', async () => {
  const name = crypto.randomUUID();
  const observer = await fakeClient(name);
  const iframe = await openTab(name);
  await until(async () => (await blocksUsed(observer)) > 0);
  expect(await observer.metrics()).toMatchObject({ sessions: 2, requestsRunning: 1 });
  iframe.remove();
  await until(async () => (await observer.metrics()).sessions === 1);
  expect(await observer.metrics()).toMatchObject({ requestsRunning: 0, requestsWaiting: 0 });
  // A step under way may still write to the blocks; they are free when it has ended.
  await until(async () => (await blocksUsed(observer)) === 0);
  await observer.close();
});

test('two clients share one worker, one batch and its model; closing one leaves the other', async () => {
  const name = crypto.randomUUID();
  const [a, b] = await Promise.all([fakeClient(name), fakeClient(name)]);
  const answers = [a, b].map((client) => client.chat.completions.create({ messages: ask, max_tokens: 200 }));
  await until(async () => (await a.metrics()).requestsRunning === 2);
  const [first, second] = answers;
  const closed = expect(first).rejects.toMatchObject({ code: 'closed' });
  await a.close();
  await closed;
  expect((await second)?.usage.completion_tokens).toBe(200);
  expect(await b.metrics()).toMatchObject({ sessions: 1, requestsRunning: 0, kvBlocksUsed: 0 });
  await b.close();
});

test('clients of two models stream at once, each what it streams alone; closing one leaves the other', async () => {
  const name = crypto.randomUUID();
  const first = await fakeClient(name);
  const alone = await streamText(first, 'Hi', 60);
  const second = await fakeClient(name, { model: tinyFile('other.gguf') });
  expect([first.model.id, second.model.id]).toEqual(['tiny.gguf', 'other.gguf']);
  expect(await Promise.all([streamText(first, 'Hi', 60), streamText(second, 'Hi', 60)])).toEqual([alone, alone]);
  const endless = streamText(first, 'Hi', 200);
  await until(async () => (await first.metrics()).requestsRunning === 1);
  expect(await second.metrics()).toMatchObject({ model: 'other.gguf', sessions: 2, requestsRunning: 0 });
  await second.close();
  expect((await endless).length).toBe(200);
  await first.close();
});

test('what the worker fails to catch reaches the tab', async () => {
  const lines: LogLine[] = [];
  const onLog = (line: LogLine): void => void lines.push(line);
  const client = await fakeClient(crypto.randomUUID(), { model: tinyFile('uncaught.gguf'), onLog });
  await until(async () => lines.length > 0);
  expect(lines[0]).toMatchObject({ level: 'error', message: expect.stringContaining('thrown in the worker') });
  await client.close();
});

test('a worker whose script cannot be loaded rejects, typed', async () => {
  const missing = (): SharedWorker => new SharedWorker('/nothing/here.js', { type: 'module' });
  const failed = openUnlessAborted(new SharedWorkerTransport(missing), undefined);
  const message: unknown = expect.stringContaining('could not be started');
  await expect(failed).rejects.toMatchObject({ code: 'invalid_request', param: 'workerUrl', message });
});

test('a signal aborted while loading rejects with aborted, and nobody is left in the worker', async () => {
  const name = crypto.randomUUID();
  const observer = await fakeClient(name);
  const cancel = new AbortController();
  const joining = fakeClient(name, { signal: cancel.signal });
  cancel.abort();
  await expect(joining).rejects.toMatchObject({ code: 'aborted' });
  await until(async () => (await observer.metrics()).sessions === 1);
  await observer.close();
});
