import type { ReactiveControllerHost } from 'lit';
import { describe, expect, test } from 'vitest';
import { ChatController } from '../../../demo/src/chat-controller.ts';
import { continuationOf, parseResumePoint, type ResumePoint } from '../../../demo/src/continuation.ts';
import type { SettingsChange } from '../../../demo/src/settings.ts';
import { FAKE_INFO, FAKE_PROMPT, FakeClient, fakeEnvironment, memoryConversations, memoryStorage, type Script } from '../../support/fake-chat.ts';
import { until } from '../../support/until.ts';

const host: ReactiveControllerHost = {
  addController: () => {}, removeController: () => {}, requestUpdate: () => {}, updateComplete: Promise.resolve(true),
};

/** A tab of the page, whose stores outlive it. */
function openTabs() {
  const kept = { session: memoryStorage(), lasting: memoryStorage(), conversations: memoryConversations() };
  return async (client: FakeClient, settings: SettingsChange = {}) => {
    const page = new ChatController(host, fakeEnvironment({ createClient: async () => client, ...kept }));
    await page.dialogue.history.restore();
    page.changeSettings({ seed: 7, temperature: 1, maxTokens: 50, ...settings });
    await page.models.load({ source: '/models/one.gguf', label: 'one', babble: false });
    return page.dialogue;
  };
}

const forever = new Promise<void>(() => {});
const begun: Script = ['Once ', 'upon ', forever];

async function stopped(chat: Awaited<ReturnType<ReturnType<typeof openTabs>>>): Promise<void> {
  const answering = chat.send('Tell me');
  await until(() => chat.turns.at(-1)?.content === 'Once upon ');
  chat.stop();
  await answering;
}

test('a stopped answer goes on behind its own tokens, with its own seed and what its limit leaves', async () => {
  const client = new FakeClient([begun, ['a time.'], ['Another.']]);
  const chat = await openTabs()(client);
  await stopped(chat);
  const { id } = chat.turns.at(-1) ?? {};
  expect(chat.continuable).toBe(id);
  await chat.continueAnswer();
  expect(chat.turns.at(-1)).toMatchObject({ id, content: 'Once upon a time.', state: { kind: 'done' }, stats: { tokens: 3 } });
  expect(client.textRequests).toEqual([
    { prompt: [...FAKE_PROMPT, 3, 4], stream: true, temperature: 1, top_p: 0.95, seed: 7, max_tokens: 48 },
  ]);
  expect([chat.turns.at(-1), chat.continuable]).toEqual([expect.not.objectContaining({ resume: expect.anything() as unknown }), undefined]);
});

test('so does one whose tab was loaded anew in the middle of it, and one that is stopped twice', async () => {
  const open = openTabs();
  const first = await open(new FakeClient([begun]));
  void first.send('Tell me');
  await until(() => first.turns.at(-1)?.content === 'Once upon ');
  const client = new FakeClient([['upon ', 'a ', forever], ['time.']]);
  const chat = await open(client);
  await until(() => chat.turns.length === 2);
  expect(chat.turns.at(-1)).toMatchObject({ state: { kind: 'stopped' } });
  const going = chat.continueAnswer();
  await until(() => chat.turns.at(-1)?.content === 'Once upon a ');
  chat.stop();
  await going;
  await chat.continueAnswer();
  expect(chat.turns.at(-1)).toMatchObject({ content: 'Once upon a time.', state: { kind: 'done' } });
  const [again, last] = client.textRequests.map(({ prompt, max_tokens }) => ({ numTokens: prompt.length - FAKE_PROMPT.length, max_tokens }));
  expect(again).toEqual({ numTokens: 1, max_tokens: 49 }); // kept with its first token, the second is drawn again
  expect(last).toEqual({ numTokens: 3, max_tokens: 47 });
});

test('where the answer’s own tokens count, it is drawn from its beginning, and nothing is shown twice', async () => {
  const client = new FakeClient([begun, ['Once up', 'on a time.']]);
  const chat = await openTabs()(client, { presencePenalty: 0.5 });
  await stopped(chat);
  await chat.continueAnswer();
  expect(chat.turns.at(-1)).toMatchObject({ content: 'Once upon a time.', state: { kind: 'done' } });
  expect(client.textRequests).toMatchObject([{ prompt: FAKE_PROMPT, presence_penalty: 0.5, max_tokens: 50 }]);
});

test('another model, or a full context, does not go on with it', async () => {
  const open = openTabs();
  await stopped(await open(new FakeClient([begun])));
  expect((await open(new FakeClient([], { ...FAKE_INFO, id: 'two' }))).continuable).toBeUndefined();
  expect((await open(new FakeClient([], { ...FAKE_INFO, maxModelLen: 5 }))).continuable).toBeUndefined();
  expect((await open(new FakeClient([]))).continuable).toBeDefined();
});

describe('a place to go on from', () => {
  const point: ResumePoint = { promptTokenIds: [1, 2], tokenIds: [3], length: 4, sampling: { temperature: 1, seed: 7, max_tokens: 50 } };

  test('gets another limit where the last one cut it', () => {
    expect(continuationOf(point, true)).toMatchObject({ request: { max_tokens: 50 }, sampling: { max_tokens: 51 } });
  });

  test.each<[string, unknown]>([
    ['nothing', undefined], ['no prompt', { ...point, promptTokenIds: [] }], ['ids that are none', { ...point, tokenIds: [-1] }],
    ['more text than there is', { ...point, length: 5 }], ['no seed', { ...point, sampling: { temperature: 1, max_tokens: 50 } }],
    ['a parameter that is no number', { ...point, sampling: { ...point.sampling, top_p: '1' } }],
  ])('that a storage has as %s is none', (_name, value) => {
    expect(parseResumePoint(value, 'Once')).toBeUndefined();
    expect(parseResumePoint(point, 'Once')).toEqual(point);
  });
});
