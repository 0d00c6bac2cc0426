import type { ChatEnvironment } from '../../../demo/src/chat-environment.ts';
import type { AnswerTurn, Turn } from '../../../demo/src/conversation.ts';
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
  var states: { readonly names: readonly string[]; show(name: string): void };
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

type State = Partial<ChatEnvironment> & { readonly turns?: readonly Turn[]; readonly ask?: string };

const readyWith = (script: () => Script = () => []): State => ({
  createClient: async () => new FakeEngine([script()]),
  findDefaultModel: async () => ({ available: true, choice: MODEL, bytes: 98e6 }),
});
const failing = (code: ErrorCode): State => ({ ...readyWith(), createClient: () => Promise.reject(errorOf(code)) });

const STATES: Readonly<Record<string, State>> = {
  none: {},
  loading: {
    ...readyWith(),
    createClient: ({ onProgress }) => {
      onProgress({ stage: 'download', bytesDone: 43e6, bytesTotal: 98e6, bytesPerSecond: 4e6, secondsLeft: 14 });
      return new Promise(() => {});
    },
  },
  ready: readyWith(),
  waiting: { ...readyWith(() => [forever]), ask: 'What is the sea?' },
  streaming: { ...readyWith(() => [...words(ANSWER.slice(0, 700)), forever]), ask: 'What is the sea?' },
  streamed: { ...readyWith(() => words(ANSWER)), ask: 'What is the sea?' },
  'streaming long': { ...readyWith(() => words(LONG_ANSWER)), ask: 'What is the sea?' },
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

function show(name: string): void {
  const { turns = [], ask, ...changes } = STATES[name] ?? {};
  const session = memoryStorage();
  session.setItem('tabserve.conversation', JSON.stringify(turns));
  const conversations = memoryConversations(new Map([['old', { id: 'old', version: 1, updatedAt: Date.now() - 30 * HOUR, turns: [question('Tell me a story of the old machine in the harbour and of all its people')] }]]));
  const app = new TabserveApp(fakeEnvironment({
    session, conversations, cache: cached(), clock: () => Date.now(), now: () => performance.now(), nextFrame, ...changes,
  }));
  document.body.replaceChildren(app);
  if (ask !== undefined) {
    const asking = setInterval(() => {
      if (app.querySelector('[data-testid=model-status][data-state=ready]') === null) return;
      clearInterval(asking);
      app.querySelector('ts-composer')?.dispatchEvent(new CustomEvent('send-prompt', { detail: ask, bubbles: true }));
    }, 10);
  }
}

globalThis.states = { names: Object.keys(STATES), show };
show(new URL(location.href).searchParams.get('state') ?? 'ready');
