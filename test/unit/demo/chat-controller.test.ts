import type { ReactiveControllerHost } from 'lit';
import { expect, test } from 'vitest';
import { ChatController, type ChatEnvironment } from '../../../demo/src/chat-controller.ts';
import type { ChatClient, ChatRequest, CreateClient } from '../../../demo/src/contract.ts';
import type { ModelChoice } from '../../../demo/src/model-choice.ts';
import { TabserveError } from '../../../src/core/errors.ts';
import type {
  AdapterLimits, EngineMetrics, EngineSnapshot, EngineStatus, Fault, LoadProgress, ModelInfo, ProfileOptions, StepProfile,
} from '../../../src/index.ts';
import { FAKE_LIMITS, fakeProfile } from '../../support/fake-profiler.ts';

const CHOICE: ModelChoice = { source: '/models/one.gguf', label: 'one', babble: false };
const INFO: ModelInfo = {
  id: 'one', name: 'one', architecture: 'llama', maxModelLen: 64, kvCacheDtype: 'f32', numerics: 'f32', kvCacheBytes: 4096,
  vocabSize: 300, fileBytes: 1000, settings: {},
};
const PROGRESS: LoadProgress = { stage: 'ready', bytesDone: 1000, bytesTotal: 1000, bytesPerSecond: 0, secondsLeft: 0 };

/** What an answer does: texts to say, errors to throw, promises to wait for. */
type Script = readonly (string | Error | Promise<void>)[];

class FakeClient implements ChatClient {
  readonly model = INFO;
  readonly requests: ChatRequest[] = [];
  readonly faults: Fault[] = [];
  closed = false;
  readonly #scripts: Script[];

  constructor(scripts: readonly Script[]) {
    this.#scripts = [...scripts];
  }

  readonly chat: ChatClient['chat'] = {
    completions: {
      create: async (request, { signal }) => {
        this.requests.push(request);
        const timings = { queue_ms: 1, ttft_ms: 20, itl_ms: 10, tokens_per_second: 100 };
        return { timings, usage: undefined, [Symbol.asyncIterator]: () => play(this.#scripts.shift() ?? [], signal) };
      },
    },
  };

  metrics(): Promise<EngineMetrics> {
    return Promise.reject(new Error('not asked here'));
  }

  inspect(): Promise<EngineSnapshot> {
    return Promise.reject(new Error('not asked here'));
  }

  async profile({ steps = 1 }: ProfileOptions): Promise<StepProfile> {
    return fakeProfile(steps);
  }

  async limits(): Promise<AdapterLimits> {
    return FAKE_LIMITS;
  }

  async injectFault(fault: Fault): Promise<void> {
    this.faults.push(fault);
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

/** Ends quietly when aborted, as the real stream does. */
async function* play(script: Script, signal: AbortSignal): AsyncGenerator<Chunk, void> {
  const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  for (const step of script) {
    if (typeof step === 'string') yield chunk(step, null);
    else if (step instanceof Error) throw step;
    else await Promise.race([step, aborted]);
    if (signal.aborted) return;
  }
  yield chunk('', 'stop');
}

const chunk = (content: string, reason: 'stop' | null) =>
  ({ choices: [{ index: 0, delta: { content }, logprobs: null, finish_reason: reason }] }) as const;
type Chunk = ReturnType<typeof chunk>;

function memory(): ChatEnvironment['storage'] {
  const items = new Map<string, string>();
  return { getItem: (key) => items.get(key) ?? null, setItem: (key, value) => void items.set(key, value) };
}

function controller(createClient: CreateClient, storage = memory(), found: ChatEnvironment['findDefaultModel'] = none): ChatController {
  const host: ReactiveControllerHost = {
    addController: () => {}, removeController: () => {}, requestUpdate: () => {}, updateComplete: Promise.resolve(true),
  };
  const findObstacle = (): undefined => undefined;
  return new ChatController(host, { createClient, findDefaultModel: found, findObstacle, storage, now: () => 0, nextFrame: (f) => f() });
}

const none = async () => ({ available: false, reason: 'no network' }) as const;

async function loaded(...scripts: Script[]): Promise<{ chat: ChatController; client: FakeClient; storage: ChatEnvironment['storage'] }> {
  const client = new FakeClient(scripts);
  const storage = memory();
  const chat = controller(async () => client, storage);
  await chat.load(CHOICE);
  return { chat, client, storage };
}

test('an answer streams into its turn, and the next question carries it', async () => {
  const { chat, client } = await loaded(['Par', 'is.'], ['Yes.']);
  await chat.send('Capital?');
  expect(chat.turns.at(-1)).toMatchObject({ content: 'Paris.', state: { kind: 'done' }, stats: { tokens: 2, ttft_ms: 20 } });
  await chat.send('Sure?');
  expect(client.requests[1]?.messages).toEqual([
    { role: 'user', content: 'Capital?' }, { role: 'assistant', content: 'Paris.' }, { role: 'user', content: 'Sure?' },
  ]);
  expect(client.requests[0]).toMatchObject({ stream: true, temperature: 0 });
});

test('an error keeps the partial text; one that takes the engine ends ready', async () => {
  const { chat } = await loaded(['Half', new TabserveError('internal', 'oops')], ['More', new TabserveError('device_lost', 'gone')]);
  await chat.send('one');
  expect(chat.turns.at(-1)).toMatchObject({ content: 'Half', state: { kind: 'failed', problem: { code: 'internal', detail: 'oops' } } });
  expect(chat.model.kind).toBe('ready');
  await chat.send('two');
  expect(chat.turns.at(-1)).toMatchObject({ content: 'More', state: { kind: 'failed' } });
  expect(chat.model).toMatchObject({ kind: 'failed', problem: { code: 'device_lost', remedy: 'reload-model' } });
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

test('a conversation comes back after a reload; an answer that was running is marked', async () => {
  const { chat, storage } = await loaded(['Half', new Promise<void>(() => {})]);
  void chat.send('one');
  await until(() => chat.turns.at(-1)?.content === 'Half');
  const after = controller(async () => new FakeClient([]), storage);
  expect(after.turns).toMatchObject([{ content: 'one' }, { state: { kind: 'stopped' } }]);
});

test('progress that comes after the client changes nothing', async () => {
  let report: ((progress: LoadProgress) => void) | undefined;
  const chat = controller(async ({ onProgress }) => {
    onProgress(PROGRESS);
    report = onProgress;
    return new FakeClient([]);
  });
  await chat.load(CHOICE);
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
  const loads = [chat.load(CHOICE), chat.load({ ...CHOICE, label: 'two' })];
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
  await unsupported.load(CHOICE);
  expect(unsupported.model).toMatchObject({ kind: 'unsupported', problem: { detail: 'why' } });
  const busy = failing('model_busy');
  await busy.load(CHOICE);
  expect(busy.model).toMatchObject({ kind: 'failed', problem: { code: 'model_busy', remedy: 'choose-model' } });
});

test('starts with the address’s model, else the default one, else leaves the choice', async () => {
  const sources: unknown[] = [];
  const create: CreateClient = async ({ model }) => {
    sources.push(model);
    return new FakeClient([]);
  };
  const withDefault = async () => ({ available: true, choice: CHOICE, bytes: 1 }) as const;
  await controller(create, memory(), withDefault).start('hf:a/b/c.gguf@main');
  await controller(create, memory(), withDefault).start(null);
  const without = controller(create);
  await without.start(null);
  expect(sources).toEqual(['hf:a/b/c.gguf@main', CHOICE.source]);
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
  await unreachable.load(CHOICE);
  await interrupted.load(CHOICE);
  expect(unreachable.model).toMatchObject({ problem: { title: 'The model could not be fetched', remedy: 'try-loading' } });
  expect(interrupted.model).toMatchObject({ problem: { title: 'The download was interrupted', remedy: 'reload-model' } });
});

test('the model that is in the way can be used instead', async () => {
  const details = { loadedModel: 'https://a.test/b.gguf' };
  const busy = controller(() => Promise.reject(new TabserveError('model_busy', 'why', { details })));
  await busy.load(CHOICE);
  expect(busy.model).toMatchObject({ problem: { code: 'model_busy', remedy: 'use-loaded', loadedModel: details.loadedModel } });
});

test('a loss is told until it is over, and how long it took; faults reach the client', async () => {
  let tell: (status: EngineStatus) => void = () => {};
  const client = new FakeClient([]);
  const chat = controller(async ({ onStatus }) => {
    tell = onStatus;
    return client;
  });
  await chat.load(CHOICE);
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
