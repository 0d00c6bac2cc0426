import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Client, LogLine } from '../../../src/client/client.ts';
import { createClient, createClientOn } from '../../../src/client/create-client.ts';
import type { ClientOptions } from '../../../src/client/create-client.ts';
import type { ChatTemplateOrigin } from '../../../src/index.ts';
import { bytes, END } from '../../support/fake-model.ts';
import { FakeOrigin } from '../../support/fake-origin.ts';
import { until } from '../../support/until.ts';

// Models with and without a chat template, and one that the app gives.

const messages = [{ role: 'user', content: 'Hi' }] as const;
const chatTemplate = '{{ messages[0].content }}';
let origin: FakeOrigin;

beforeEach(() => {
  origin = new FakeOrigin();
  vi.stubGlobal('document', { baseURI: 'https://x.test/' });
});
afterEach(() => {
  origin.close();
  vi.unstubAllGlobals();
});

/** A client of a model that has such a template. */
async function open(origin_: ChatTemplateOrigin, more: Partial<ClientOptions> = {}): Promise<{ client: Client; lines: LogLine[] }> {
  const session = await origin.connect();
  const lines: LogLine[] = [];
  origin.loader.chatTemplate = origin_;
  const { loads } = origin.loader;
  const before = loads.length;
  const creating = createClientOn(session, { model: 'https://x.test/m.gguf', onLog: (line) => lines.push(line), ...more });
  let hasJoined = false;
  void creating.then(() => (hasJoined = true));
  await until(() => hasJoined || loads.length > before);
  if (!hasJoined) loads.at(-1)?.finish();
  return { client: await creating, lines };
}

test('a model without one continues texts, and refuses to chat, before the engine hears of it', async () => {
  const { client } = await open('none');
  const { engine } = origin.loader.last;
  expect(client.model.chatTemplate).toBe('none');
  for (const stream of [true, false]) {
    const refused = client.chat.completions.create({ messages, stream, n: 2 });
    await expect(refused).rejects.toMatchObject({ code: 'unsupported_model', message: /chatTemplate.*client\.completions/ });
  }
  expect(engine.added).toBe(0);
  const answer = client.completions.create({ prompt: 'Once' });
  await until(() => engine.live.size === 1);
  engine.step({ id: engine.only, tokens: [...bytes('!'), END], finish: 'stop' });
  expect((await answer).choices[0]?.text).toBe('!');
});

test('requireChat refuses it with the header, and closes the session', async () => {
  const session = await origin.connect();
  const creating = createClientOn(session, { model: 'https://x.test/m.gguf', onLog: () => {}, requireChat: true });
  await until(() => origin.loader.loads.length > 0);
  const { options, context } = origin.loader.last;
  expect(options).toEqual({ source: 'https://x.test/m.gguf' });
  context.onProgress({ stage: 'open', bytesDone: 1, bytesTotal: 9, bytesPerSecond: 1, secondsLeft: 1, chatTemplate: 'none' });
  await expect(creating).rejects.toMatchObject({ code: 'unsupported_model' });
  expect(context.signal.aborted).toBe(true);
  await until(() => origin.manager.metrics().sessions === 0);
});

test('one that is given is what the worker loads with, and the next worker too', async () => {
  const { client } = await open('option', { chatTemplate });
  expect(client.model).toMatchObject({ chatTemplate: 'option', settings: { chatTemplate } });
  const before = origin.workers;
  origin.kill();
  client.completions.create({ prompt: 'x' }).catch(() => {}); // is never answered
  await until(() => origin.workers > before && origin.loader.loads.length > 0);
  expect(origin.loader.last.options).toEqual({ source: 'https://x.test/m.gguf', chatTemplate });
});

test('another one loads the model again, unless another tab uses it: then the log says which settings do not hold', async () => {
  const { client, lines } = await open('option', { chatTemplate });
  const second = await open('option', { chatTemplate });
  expect([...lines, ...second.lines]).toEqual([]);
  await second.client.close();
  const third = await open('option', { chatTemplate: 'other' });
  expect(origin.loader.loads).toHaveLength(1);
  expect(third.client.model.settings).toEqual({ chatTemplate });
  expect(third.lines).toMatchObject([{ level: 'warn', message: expect.stringContaining('(chatTemplate)') as unknown }]);
  await third.client.close();
  await client.close();
  const alone = await open('option', { chatTemplate: 'other' });
  expect(origin.loader.loads).toHaveLength(2);
  expect(alone.client.model.settings).toEqual({ chatTemplate: 'other' });
  expect(alone.lines).toEqual([]);
});

test.each([5, '', ' \n', null])('%j is none: refused before anything is started', async (given) => {
  const options = { model: 'https://x.test/m.gguf', chatTemplate: given as string };
  await expect(createClient(options)).rejects.toMatchObject({ code: 'invalid_request', param: 'chatTemplate' });
});
