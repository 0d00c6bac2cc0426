import type { ReactiveControllerHost } from 'lit';
import { describe, expect, test } from 'vitest';
import { ChatController } from '../../../demo/src/chat-controller.ts';
import type { ChatEnvironment } from '../../../demo/src/chat-environment.ts';
import type { ChatClient, ClientOptions } from '../../../demo/src/contract.ts';
import type { ModelChoice } from '../../../demo/src/model-choice.ts';
import { TabserveError, type ErrorCode, type ErrorDetails } from '../../../src/core/errors.ts';
import { FakeClient, fakeEnvironment, memoryCache, memoryStorage } from '../../support/fake-chat.ts';

const choiceOf = (name: string): ModelChoice => ({ source: `/models/${name}.gguf`, label: name, babble: false });
const [ONE, TWO, THREE] = [choiceOf('one'), choiceOf('two'), choiceOf('three')];
const forever = new Promise<void>(() => {});
const errorOf = (code: ErrorCode, details?: ErrorDetails) => new TabserveError(code, 'why', { details });

/** A load that its test ends. */
interface PendingLoad {
  readonly options: ClientOptions;
  readonly succeed: (client: ChatClient) => void;
  readonly fail: (error: TabserveError) => void;
}

/** A page whose loads are ended by its test, in the order in which they were begun. */
function page(changes: Partial<ChatEnvironment> = {}) {
  const loads: PendingLoad[] = [];
  const remembered: string[] = [];
  const host: ReactiveControllerHost = {
    addController: () => {}, removeController: () => {}, requestUpdate: () => {}, updateComplete: Promise.resolve(true),
  };
  const chat = new ChatController(host, fakeEnvironment({
    createClient: (options) => new Promise((succeed, fail) => {
      loads.push({ options, succeed, fail });
      options.signal.addEventListener('abort', () => fail(errorOf('aborted')));
    }),
    rememberModel: ({ label }) => void remembered.push(label),
    ...changes,
  }));
  const begun = (count: number): Promise<void> => until(() => loads.length === count);
  return { chat, loads, remembered, begun };
}

/** A page where the model `one` is ready. */
async function ready(client = new FakeClient([['A'], ['B'], ['C']])) {
  const made = page();
  const loading = made.chat.models.load(ONE);
  made.loads[0]?.succeed(client);
  await loading;
  return { ...made, client };
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000; turn++) {
    if (condition()) return;
    await Promise.resolve();
  }
  throw new Error('it never came');
}

describe('another model', () => {
  test('that cannot be loaded leaves the one that works, which answers meanwhile and after', async () => {
    const { chat, loads, client, remembered } = await ready();
    const loading = chat.models.load(TWO);
    await chat.dialogue.send('while it loads');
    expect(chat.dialogue.turns.at(-1)).toMatchObject({ content: 'A', state: { kind: 'done' } });
    loads[1]?.fail(errorOf('model_not_found'));
    await loading;
    expect(chat.model).toMatchObject({ kind: 'ready', choice: ONE, next: { kind: 'failed', choice: TWO, problem: { code: 'model_not_found' } } });
    expect(client.closed).toBe(false);
    expect(remembered).toEqual(['one']); // a reload must not bring the mistake back
    chat.models.back();
    expect(chat.model).toEqual({ kind: 'ready', choice: ONE, info: client.model, next: undefined });
    await chat.dialogue.send('and after');
    expect(chat.dialogue.turns.at(-1)).toMatchObject({ content: 'B' });
    expect(loads).toHaveLength(2);
  });

  test('takes its place when it is ready, and is remembered then', async () => {
    const { chat, loads, client, remembered } = await ready();
    const two = new FakeClient([['2']]);
    const loading = chat.models.load(TWO);
    loads[1]?.options.onProgress({ stage: 'download', bytesDone: 1, bytesTotal: 2, bytesPerSecond: 0, secondsLeft: 0 });
    expect(chat.model).toMatchObject({ kind: 'ready', choice: ONE, next: { kind: 'loading', choice: TWO, progress: { bytesDone: 1 } } });
    expect(remembered).toEqual(['one']);
    loads[1]?.succeed(two);
    await loading;
    expect(chat.model).toEqual({ kind: 'ready', choice: TWO, info: two.model });
    expect(remembered).toEqual(['one', 'two']);
    await until(() => client.closed);
    await chat.dialogue.send('who?');
    expect(chat.dialogue.turns.at(-1)).toMatchObject({ content: '2', model: { name: 'two' } });
  });

  test('lets an answer that runs come to its end', async () => {
    let goOn = (): void => {};
    const more = new Promise<void>((resolve) => (goOn = resolve));
    const { chat, loads, client } = await ready(new FakeClient([['Half', more, ' and half']]));
    const answer = chat.dialogue.send('one');
    await until(() => chat.dialogue.turns.at(-1)?.content === 'Half');
    const loading = chat.models.load(TWO);
    loads[1]?.succeed(new FakeClient([]));
    await loading;
    expect([chat.model.kind, client.closed]).toEqual(['ready', false]);
    goOn();
    await answer;
    expect(chat.dialogue.turns.at(-1)).toMatchObject({ content: 'Half and half', state: { kind: 'done' }, model: { name: 'one' } });
    await until(() => client.closed);
  });

  test('that is given up, or given another in its place, leaves the one that works', async () => {
    const { chat, loads, client } = await ready();
    const two = chat.models.load(TWO);
    chat.models.cancel();
    expect(chat.model).toMatchObject({ kind: 'ready', choice: ONE, next: undefined });
    const again = chat.models.load(TWO);
    const three = chat.models.load(THREE);
    expect(loads.map(({ options }) => options.signal.aborted)).toEqual([false, true, true, false]);
    loads[3]?.succeed(new FakeClient([]));
    await Promise.all([two, again, three]);
    expect(chat.model).toMatchObject({ kind: 'ready', choice: THREE });
    await until(() => client.closed);
  });

  test('is told of no more once something is asked', async () => {
    const { chat, loads } = await ready();
    const loading = chat.models.load(TWO);
    loads[1]?.fail(errorOf('unsupported_model'));
    await loading;
    await chat.dialogue.send('one');
    expect(chat.model).toMatchObject({ kind: 'ready', choice: ONE, next: undefined });
  });

  test('that fails for want of a GPU is no reason to give up the one that works', async () => {
    const { chat, loads } = await ready();
    const loading = chat.models.load(TWO);
    loads[1]?.fail(errorOf('webgpu_unavailable'));
    await loading;
    expect(chat.model).toMatchObject({ kind: 'ready', next: { kind: 'failed', problem: { code: 'webgpu_unavailable' } } });
  });

  test('does not keep the page from hearing of the engine that answers', async () => {
    const { chat, loads } = await ready();
    void chat.models.load(TWO);
    const cause = { code: 'device_lost', message: 'x' } as const;
    loads[1]?.options.onStatus({ state: 'recovering', cause, attempt: 1, retryInMs: undefined });
    expect(chat.engine.recovery).toBeUndefined();
    loads[0]?.options.onStatus({ state: 'recovering', cause, attempt: 1, retryInMs: undefined });
    expect(chat.engine.recovery).toMatchObject({ kind: 'recovering' });
  });

  test('goes on loading where the one that answered is lost, and leads back to it where it fails', async () => {
    const { chat, loads, client } = await ready(new FakeClient([['Half', errorOf('device_lost')]]));
    const loading = chat.models.load(TWO);
    await chat.dialogue.send('one');
    expect(chat.model).toEqual({ kind: 'loading', choice: TWO, progress: undefined });
    expect(client.closed).toBe(true);
    loads[1]?.fail(errorOf('download_failed'));
    await loading;
    expect(chat.model).toMatchObject({ kind: 'failed', choice: TWO, before: ONE });
    chat.models.back();
    expect(chat.model).toMatchObject({ kind: 'loading', choice: ONE });
  });
});

describe('where memory has room for one', () => {
  test.each(['model_busy', 'out_of_memory'] as const)('the answer that is in the way is stopped, and the load tried again: %s', async (code) => {
    const { chat, loads, begun, client } = await ready(new FakeClient([['Half', forever]]));
    const answer = chat.dialogue.send('one');
    await until(() => chat.dialogue.turns.at(-1)?.content === 'Half');
    const loading = chat.models.load(TWO);
    loads[1]?.fail(errorOf(code));
    await begun(3);
    await answer;
    expect(chat.dialogue.turns.at(-1)).toMatchObject({ content: 'Half', state: { kind: 'stopped' } });
    expect(client.closed).toBe(true);
    expect(chat.model).toMatchObject({ kind: 'loading', choice: TWO });
    loads[2]?.fail(errorOf(code));
    await loading;
    expect(chat.model).toMatchObject({ kind: 'failed', choice: TWO, before: ONE });
    chat.models.back();
    await begun(4);
    loads[3]?.succeed(new FakeClient([]));
    await until(() => chat.model.kind === 'ready');
    expect(chat.model).toMatchObject({ kind: 'ready', choice: ONE });
  });

  test.each<readonly [what: string, asks: boolean, error: TabserveError]>([
    ['the one that works is idle: the worker has parked it', false, errorOf('model_busy')],
    ['it would not fit alone', true, errorOf('out_of_memory', { neededBytes: 2, budgetBytes: 1 })],
    ['memory is not what is missing', true, errorOf('corrupt_model')],
  ])('nothing is stopped where %s', async (_what, asks, error) => {
    const { chat, loads, client } = await ready(new FakeClient([['Half', forever]]));
    if (asks) void chat.dialogue.send('one');
    if (asks) await until(() => chat.dialogue.turns.at(-1)?.content === 'Half');
    const loading = chat.models.load(TWO);
    loads[1]?.fail(error);
    await loading;
    expect(loads).toHaveLength(2);
    expect([chat.model.kind, client.closed, chat.dialogue.generating]).toEqual(['ready', false, asks]);
  });
});

describe('what was deleted from this device', () => {
  const DEFAULT = { available: true, choice: ONE, bytes: 98e6 } as const;
  const cached = (path: string) => ({ url: `https://page.test${path}`, name: `https://page.test${path}`, size: 1, bytesCached: 1, lastUsed: 1 });

  test.each([
    ['the default model', null],
    ['one that the address names', '/models/one.gguf'],
  ])('is fetched again only when it is asked for: %s', async (_what, address) => {
    const kept = { lasting: memoryStorage(), cache: memoryCache([cached('/models/one.gguf')]), findDefaultModel: async () => DEFAULT };
    const before = page(kept);
    await before.chat.cache.refresh();
    await before.chat.cache.remove('https://page.test/models/one.gguf');

    const { chat, loads, begun } = page({ ...kept, isRedirected: () => Promise.reject(new Error('the site was asked for it')) });
    await chat.start(address);
    expect(chat.model).toMatchObject({ kind: 'none', offer: { why: 'deleted', choice: { source: ONE.source } } });
    expect(loads).toHaveLength(0);
    const loading = chat.models.load(ONE);
    loads[0]?.succeed(new FakeClient([]));
    await loading;

    const later = page(kept);
    void later.chat.start(address);
    await later.begun(1);
    expect(later.loads[0]?.options.model).toBe(ONE.source);
    expect(begun).toBeDefined();
  });

  test('is nothing to others', async () => {
    const kept = { lasting: memoryStorage(), cache: memoryCache([cached('/models/two.gguf')]), findDefaultModel: async () => DEFAULT };
    const before = page(kept);
    await before.chat.cache.refresh();
    await before.chat.cache.remove('https://page.test/models/two.gguf');
    const { chat, begun } = page(kept);
    void chat.start(null);
    await begun(1);
    expect(chat.model).toMatchObject({ kind: 'loading', choice: ONE });
  });
});

test('a link to a repository lists its files when it is followed, and loads none', async () => {
  const { chat, loads } = page({
    listRepository: async ({ id, revision }) => [{ path: `${id} ${revision}.gguf`, bytes: 1 }],
  });
  await chat.start('https://huggingface.co/o/r');
  expect(chat.model).toMatchObject({ kind: 'none', offer: { why: 'linked', link: { kind: 'repository', host: 'huggingface.co' } } });
  expect(chat.repository.state).toBeUndefined();
  await chat.repository.browse({ id: 'o/r', revision: 'main' });
  expect(chat.repository.state).toEqual({ kind: 'listed', repository: { id: 'o/r', revision: 'main' }, files: [{ path: 'o/r main.gguf', bytes: 1 }] });
  expect(loads).toHaveLength(0);
});
