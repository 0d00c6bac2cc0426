import type { ReactiveControllerHost } from 'lit';
import { expect, test } from 'vitest';
import { ChatController } from '../../../demo/src/chat-controller.ts';
import type { ChatEnvironment } from '../../../demo/src/chat-environment.ts';
import type { CreateClient } from '../../../demo/src/contract.ts';
import type { ModelChoice } from '../../../demo/src/model-choice.ts';
import { TabserveError } from '../../../src/core/errors.ts';
import type { EngineMetrics, EngineSnapshot, EngineStatus, LoadProgress } from '../../../src/index.ts';
import { FAKE_INFO, FakeClient, fakeEnvironment, memoryConversations, memoryStorage, type Script } from '../../support/fake-chat.ts';

const CHOICE: ModelChoice = { source: '/models/one.gguf', label: 'one', babble: false };
const PROGRESS: LoadProgress = { stage: 'ready', bytesDone: 1000, bytesTotal: 1000, bytesPerSecond: 0, secondsLeft: 0 };

function controller(createClient: CreateClient, changes: Partial<ChatEnvironment> = {}): ChatController {
  const host: ReactiveControllerHost = {
    addController: () => {}, removeController: () => {}, requestUpdate: () => {}, updateComplete: Promise.resolve(true),
  };
  return new ChatController(host, fakeEnvironment({ createClient, ...changes }));
}

async function loaded(...scripts: Script[]) {
  const client = new FakeClient(scripts);
  const kept = { session: memoryStorage(), lasting: memoryStorage(), conversations: memoryConversations() };
  const controlling = controller(async () => client, kept);
  await controlling.models.load(CHOICE);
  return { controlling, chat: controlling.dialogue, client, kept };
}

test('an answer streams into its turn, and the next question carries it', async () => {
  const { chat, client } = await loaded(['Par', 'is.'], ['Yes.']);
  await chat.send('Capital?');
  expect(chat.turns.at(-1)).toMatchObject({ content: 'Paris.', state: { kind: 'done' }, stats: { tokens: 2, ttft_ms: 20 } });
  await chat.send('Sure?');
  expect(client.requests[1]?.messages).toEqual([
    { role: 'user', content: 'Capital?' }, { role: 'assistant', content: 'Paris.' }, { role: 'user', content: 'Sure?' },
  ]);
  expect(client.requests[0]).toMatchObject({ stream: true, temperature: 0.7, top_p: 0.95 });
});

test('an error keeps the partial text; one that takes the engine ends ready', async () => {
  const { controlling, chat } = await loaded(['Half', new TabserveError('internal', 'oops')], ['More', new TabserveError('device_lost', 'gone')]);
  await chat.send('one');
  expect(chat.turns.at(-1)).toMatchObject({ content: 'Half', state: { kind: 'failed', problem: { code: 'internal', detail: 'oops' } } });
  expect(controlling.model.kind).toBe('ready');
  await chat.send('two');
  expect(chat.turns.at(-1)).toMatchObject({ content: 'More', state: { kind: 'failed' } });
  expect(controlling.model).toMatchObject({ kind: 'failed', problem: { code: 'device_lost', remedy: 'reload-model' } });
});

test('a question without an answer is left out of what is sent next', async () => {
  const { chat, client } = await loaded([new TabserveError('internal', 'oops')], ['Hi.']);
  await chat.send('lost');
  await chat.send('hello');
  expect(client.requests[1]?.messages).toEqual([{ role: 'user', content: 'hello' }]);
});

test('stop keeps the text, and a new chat forgets an answer that still runs', async () => {
  const forever = new Promise<void>(() => {});
  const { chat } = await loaded(['Half', forever], ['Other', forever]);
  const stopped = chat.send('one');
  await until(() => chat.turns.at(-1)?.content === 'Half');
  await chat.send('ignored while another answer runs');
  expect(chat.turns).toHaveLength(2);
  chat.stop();
  await stopped;
  expect(chat.turns.at(-1)).toMatchObject({ content: 'Half', state: { kind: 'stopped' } });

  const forgotten = chat.send('two');
  await until(() => chat.turns.at(-1)?.content === 'Other');
  chat.newChat();
  await forgotten;
  expect(chat.turns).toEqual([]);
});

test('regenerating asks the same question again', async () => {
  const { chat, client } = await loaded(['A'], ['B']);
  await chat.send('one');
  await chat.regenerate();
  expect(chat.turns.map(({ content }) => content)).toEqual(['one', 'B']);
  expect(client.requests[1]?.messages).toEqual(client.requests[0]?.messages);
});

test('each answer has a seed of its own, unless one is set', async () => {
  const { controlling, chat, client } = await loaded(['A'], ['B'], ['C'], ['D']);
  await chat.send('one');
  await chat.regenerate();
  const [first, second] = client.requests.map(({ seed }) => seed);
  expect(first).toBeGreaterThanOrEqual(0);
  expect(second).not.toBe(first);
  controlling.changeSettings({ seed: 7 });
  await chat.regenerate();
  await chat.regenerate();
  expect(client.requests.slice(2).map(({ seed }) => seed)).toEqual([7, 7]);
});

test('a model is sampled as its file recommends, and greedily where the address says so', async () => {
  const client = new FakeClient([['A'], ['B'], ['C']], { ...FAKE_INFO, recommendedSampling: { temperature: 0.4, top_k: 9 } });
  const visit = (): ChatController => controller(async () => client);
  const plain = visit();
  await plain.start('/models/one.gguf');
  await plain.dialogue.send('one');
  expect(client.requests[0]).toMatchObject({ temperature: 0.4, top_k: 9 });
  expect(client.requests[0]).not.toHaveProperty('top_p');
  const greedy = visit();
  await greedy.start('/models/one.gguf', { temperature: 0 });
  await greedy.dialogue.send('one');
  expect(client.requests[1]).toMatchObject({ temperature: 0, top_k: 9 });
  greedy.changeSettings({ temperature: 1 });
  await greedy.dialogue.regenerate();
  expect(client.requests[2]).toMatchObject({ temperature: 1 });
});

test('figures are those of the model that is loaded, and an answer keeps the name of the one that wrote it', async () => {
  const named = (id: string) => ({ ...FAKE_INFO, id });
  const { kept } = await loaded();
  const before = controller(async () => new FakeClient([['A']], named('one')), kept);
  await before.models.load(CHOICE);
  await before.dialogue.send('first');
  expect(before.figures?.stats).toMatchObject({ tokens: 1, tokens_per_second: 100 });
  await before.dialogue.history.save();

  const after = controller(async () => new FakeClient([['B']], named('two')), kept);
  await after.start(null);
  await after.models.load({ ...CHOICE, label: 'two' });
  expect(after.dialogue.turns.at(-1)).toMatchObject({ content: 'A', model: { id: 'one', name: 'one' }, stats: { tokens: 1 } });
  expect(after.figures).toBeUndefined();
  await after.dialogue.send('second');
  expect(after.figures?.pace).toBeDefined();
  expect(after.dialogue.turns.at(-1)).toMatchObject({ model: { id: 'two', name: 'two' } });
  expect(after.figures?.stats.tokens).toBe(1);
});

test('the plots of an answer are not shown with the figures of another', async () => {
  const { controlling, chat } = await loaded(['A'], ['B']);
  await chat.send('one');
  const { id } = chat.history;
  chat.newChat();
  await chat.send('two');
  expect(controlling.figures?.pace).toBeDefined();
  await chat.openChat(id);
  expect(controlling.figures).toEqual({ stats: expect.objectContaining({ tokens: 1 }) as unknown, pace: undefined });
});

test('what was read of an engine whose model has gone is not taken for the next one’s', async () => {
  let answer = (): void => {};
  class Slow extends FakeClient {
    override async metrics() {
      await new Promise<void>((resolve) => (answer = resolve));
      return {} as EngineMetrics;
    }
    override inspect = async () => ({}) as EngineSnapshot;
  }
  const clients = [new Slow([]), new FakeClient([])];
  const chat = controller(async () => clients.shift() ?? new FakeClient([]));
  await chat.models.load(CHOICE);
  const reading = chat.readEngine();
  await chat.models.load({ ...CHOICE, label: 'two' });
  answer();
  await expect(reading).rejects.toThrow();
});

test('a conversation comes back after a reload; an answer that was running is marked', async () => {
  const { chat, kept } = await loaded(['Half', new Promise<void>(() => {})]);
  void chat.send('one');
  await until(() => chat.turns.at(-1)?.content === 'Half');
  await chat.history.save();
  const after = controller(async () => new FakeClient([]), kept);
  await after.start(null);
  expect(after.dialogue.turns).toMatchObject([{ content: 'one' }, { content: 'Half', state: { kind: 'stopped' } }]);
  const other = controller(async () => new FakeClient([]), { ...kept, session: memoryStorage() });
  await other.start(null);
  expect(other.dialogue.turns).toEqual([]);
  expect(other.dialogue.history.summaries).toMatchObject([{ title: 'one' }]);
});

test('an answer that runs is saved now and then, so that a crash loses little', async () => {
  let now = 0;
  const stored = new Map<string, { readonly turns: readonly { readonly content: string }[] }>();
  let goOn = (): void => {};
  const more = new Promise<void>((resolve) => (goOn = resolve));
  const chat = controller(async () => new FakeClient([['Half', more, ' of it', new Promise<void>(() => {})]]),
    { now: () => now, conversations: memoryConversations(stored) });
  await chat.models.load(CHOICE);
  void chat.dialogue.send('one');
  await until(() => chat.dialogue.turns.at(-1)?.content === 'Half');
  now = 10_000;
  goOn();
  await until(() => [...stored.values()][0]?.turns.at(-1)?.content === 'Half of it');
});

test('a question can be changed, and any answer asked for again; what else was said stays in a chat of its own', async () => {
  const { chat, client } = await loaded(['A'], ['B'], ['C'], ['D'], ['E']);
  await chat.send('one');
  await chat.edit(chat.turns[0]?.id ?? '', 'uno');
  expect(chat.turns.map(({ content }) => content)).toEqual(['uno', 'B']);
  await chat.history.refresh();
  expect(chat.history.summaries.map(({ title }) => title).toSorted()).toEqual(['one', 'uno']);
  await chat.send('two');
  const { id } = chat.history;
  await chat.regenerate(chat.turns[1]?.id);
  expect(chat.turns.map(({ content }) => content)).toEqual(['uno', 'D']);
  expect(client.requests[3]?.messages).toEqual([{ role: 'user', content: 'uno' }]);
  expect(chat.history.id).not.toBe(id);
  await chat.openChat(id);
  expect(chat.turns.map(({ content }) => content)).toEqual(['uno', 'B', 'two', 'C']);
});

test('another chat can be opened while an answer runs, which keeps what it has said', async () => {
  const { chat } = await loaded(['Half', new Promise<void>(() => {})], ['Other']);
  const running = chat.send('one');
  await until(() => chat.turns.at(-1)?.content === 'Half');
  const { id } = chat.history;
  chat.newChat();
  await running;
  await chat.send('two');
  await chat.openChat(id);
  expect(chat.turns).toMatchObject([{ content: 'one' }, { content: 'Half', state: { kind: 'stopped' } }]);
  await chat.removeChat(id);
  expect(chat.turns).toEqual([]);
  expect(chat.history.summaries.map(({ title }) => title)).toEqual(['two']);
});

test('settings are sent where they ask for something, kept over visits, and set back', async () => {
  const { controlling, chat, client, kept } = await loaded(['A'], ['B']);
  await chat.send('one');
  expect(Object.keys(client.requests[0] ?? {}).toSorted()).toEqual(['max_tokens', 'messages', 'seed', 'stream', 'temperature', 'top_p']);
  controlling.changeSettings({ temperature: 0.7, topP: 0.9, topK: 40, minP: 0.1, seed: 0, stop: ['END'], repetitionPenalty: 1.1, presencePenalty: -1, frequencyPenalty: 1 });
  await chat.regenerate();
  expect(client.requests[1]).toMatchObject({
    temperature: 0.7, top_p: 0.9, top_k: 40, min_p: 0.1, seed: 0, stop: ['END'], repetition_penalty: 1.1, presence_penalty: -1, frequency_penalty: 1,
  });
  expect(controller(async () => client, kept).settings.values).toEqual(controlling.settings.values);
  controlling.resetSettings();
  expect(controller(async () => client, kept).settings.isChanged).toBe(false);
});

test('without a connection a load says so, and goes on when it is back', async () => {
  let isOnline = false;
  let tries = 0;
  const chat = controller(async () => {
    if (++tries === 1) throw new TabserveError('download_failed', 'no network');
    return new FakeClient([]);
  }, { isOnline: () => isOnline });
  await chat.models.load(CHOICE);
  expect(chat.model).toMatchObject({ kind: 'failed', problem: { title: 'You are offline', remedy: 'try-loading' } });
  isOnline = true;
  chat.backOnline();
  await until(() => chat.model.kind === 'ready');
  chat.backOnline();
  expect(tries).toBe(2);
});

test('progress that comes after the client changes nothing', async () => {
  let report: ((progress: LoadProgress) => void) | undefined;
  const chat = controller(async ({ onProgress }) => {
    onProgress(PROGRESS);
    report = onProgress;
    return new FakeClient([]);
  });
  await chat.models.load(CHOICE);
  report?.(PROGRESS);
  expect(chat.model.kind).toBe('ready');
});

test('of two loads the later wins, whichever ends first', async () => {
  const clients: FakeClient[] = [];
  const ends: (() => void)[] = [];
  const chat = controller(async () => {
    const client = new FakeClient([]);
    clients.push(client);
    await new Promise<void>((resolve) => ends.push(resolve));
    return client;
  });
  const loads = [chat.models.load(CHOICE), chat.models.load({ ...CHOICE, label: 'two' })];
  await until(() => ends.length === 2);
  ends[1]?.();
  await loads[1];
  ends[0]?.();
  await loads[0];
  expect(chat.model).toMatchObject({ kind: 'ready', choice: { label: 'two' } });
  expect(clients.map(({ closed }) => closed)).toEqual([true, false]);
});

test('without WebGPU the page is unsupported; other failures say what to do', async () => {
  const failing = (code: 'webgpu_unavailable' | 'model_busy') =>
    controller(() => Promise.reject(new TabserveError(code, 'why')));
  const unsupported = failing('webgpu_unavailable');
  await unsupported.models.load(CHOICE);
  expect(unsupported.model).toEqual({ kind: 'unsupported', obstacle: { lack: 'adapter', detail: 'why' }, choice: CHOICE });
  const without = controller(() => Promise.reject(new Error('not asked')), { findObstacle: () => ({ lack: 'api', detail: 'no gpu' }) });
  await without.start(null);
  expect(without.model).toEqual({ kind: 'unsupported', obstacle: { lack: 'api', detail: 'no gpu' } });
  const busy = failing('model_busy');
  await busy.models.load(CHOICE);
  expect(busy.model).toMatchObject({ kind: 'failed', problem: { code: 'model_busy', remedy: 'reload-model' } });
});

test('starts with the address’s model, else the default one, else leaves the choice', async () => {
  const sources: unknown[] = [];
  const create: CreateClient = async ({ model }) => {
    sources.push(model);
    return new FakeClient([]);
  };
  const withDefault = async () => ({ available: true, choice: CHOICE, bytes: 1 }) as const;
  await controller(create, { findDefaultModel: withDefault }).start('/models/two.gguf');
  await controller(create, { findDefaultModel: withDefault }).start(null);
  const without = controller(create);
  await without.start(null);
  expect(sources).toEqual(['/models/two.gguf', CHOICE.source]);
  expect(without.model.kind).toBe('none');
  const nonsense = controller(create);
  await nonsense.start('nonsense');
  const advice = expect.stringMatching(/https.*hf:owner\/repo\/file\.gguf.*\/models\//);
  expect(nonsense.model).toMatchObject({ kind: 'failed', problem: { code: 'invalid_request', advice, detail: '?model=nonsense' } });
});

test('a download of which nothing came was not interrupted', async () => {
  const failing = (bytesDone: number): CreateClient => async ({ onProgress }) => {
    onProgress({ ...PROGRESS, stage: 'download', bytesDone });
    throw new TabserveError('download_failed', 'why');
  };
  const [unreachable, interrupted] = [controller(failing(0)), controller(failing(1))];
  await unreachable.models.load(CHOICE);
  await interrupted.models.load(CHOICE);
  expect(unreachable.model).toMatchObject({ problem: { title: 'The model could not be fetched', remedy: 'try-loading' } });
  expect(interrupted.model).toMatchObject({ problem: { title: 'The download was interrupted', remedy: 'reload-model' } });
});

test('the model that is in the way can be used instead', async () => {
  const details = { loadedModel: 'https://a.test/b.gguf' };
  const busy = controller(() => Promise.reject(new TabserveError('model_busy', 'why', { details })));
  await busy.models.load(CHOICE);
  expect(busy.model).toMatchObject({ problem: { code: 'model_busy', remedy: 'use-loaded', loadedModel: details.loadedModel } });
});

test('a loss is told until it is over, and how long it took; faults reach the client', async () => {
  let tell: (status: EngineStatus) => void = () => {};
  const client = new FakeClient([]);
  const chat = controller(async ({ onStatus }) => {
    tell = onStatus;
    return client;
  });
  await chat.models.load(CHOICE);
  tell({ state: 'ready' });
  expect(chat.engine.recovery).toBeUndefined();
  chat.injectFault('device_lost');
  expect(client.faults).toEqual(['device_lost']);
  const cause = { code: 'device_lost', message: 'The GPU device was destroyed.' } as const;
  tell({ state: 'recovering', cause, attempt: 1, retryInMs: undefined });
  expect(chat.engine.recovery).toEqual(
    { kind: 'recovering', cause: cause.message, attempt: 1, retryAt: undefined, since: 0 });
  tell({ state: 'recovering', cause: { code: 'webgpu_unavailable', message: 'x' }, attempt: 2, retryInMs: 500 });
  expect(chat.engine.recovery).toMatchObject({ cause: expect.stringContaining('no GPU for now'), attempt: 2, retryAt: 500 });
  tell({ state: 'ready' });
  expect(chat.engine.recovery).toEqual({ kind: 'back', afterMs: 0 });
  chat.dismissRecovery();
  expect(chat.engine.recovery).toBeUndefined();
});

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000; turn++) {
    if (condition()) return;
    await Promise.resolve();
  }
  throw new Error('it never came');
}
