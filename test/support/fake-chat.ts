import type { ChatEnvironment } from '../../demo/src/chat-environment.ts';
import { nextVersion, parseConversation, summarise, type Conversation, type ConversationStore } from '../../demo/src/conversation-store.ts';
import type { ChatClient, ChatRequest, TextRequest } from '../../demo/src/contract.ts';
import type { CacheAccess } from '../../demo/src/model-cache.ts';
import type { PageStorage } from '../../demo/src/page-storage.ts';
import type {
  AdapterLimits, EngineMetrics, EngineSnapshot, ModelInfo, ProfileOptions, StepProfile,
} from '../../src/index.ts';
import type { CachedModel } from '../../src/cache.ts';
import type { Fault } from '../../src/testing.ts';
import { FAKE_LIMITS, fakeProfile } from './fake-profiler.ts';

export const FAKE_INFO: ModelInfo = {
  id: 'one', name: 'one', architecture: 'llama', contextLength: 64, maxModelLen: 64, kvCacheDtype: 'f32', numerics: 'f32', kvCacheBytes: 4096,
  vocabSize: 300, chatTemplate: 'file', fileBytes: 1000, recommendedSampling: {}, settings: {},
};

/** The token ids of every prompt that is messages. */
export const FAKE_PROMPT: readonly number[] = [1, 2, 3];

/** The script of an answer: texts to emit, errors to throw, promises to wait for. */
export type Script = readonly (string | Error | Promise<void>)[];

export class FakeClient implements ChatClient {
  readonly model: ModelInfo;
  readonly requests: ChatRequest[] = [];
  readonly textRequests: TextRequest[] = [];
  readonly faults: Fault[] = [];
  closed = false;
  readonly #scripts: Script[];

  constructor(scripts: readonly Script[], model: ModelInfo = FAKE_INFO) {
    this.#scripts = [...scripts];
    this.model = model;
  }

  readonly chat: ChatClient['chat'] = {
    completions: {
      create: async (request, { signal }) => {
        this.requests.push(request);
        return this.#stream(signal, chatChunk);
      },
    },
  };

  readonly completions: ChatClient['completions'] = {
    create: async (request, { signal }) => {
      this.textRequests.push(request);
      return this.#stream(signal, textChunk, request.prompt);
    },
  };

  /** Each text of the script is a token. */
  #stream<Chunk>(signal: AbortSignal, chunk: (text: string, reason: 'stop' | null) => Chunk, prompt: readonly number[] = FAKE_PROMPT) {
    const tokenIds: number[] = [];
    const chunks = play(this.#scripts.shift() ?? [], signal, (text, reason) => {
      if (reason === null) tokenIds.push(prompt.length + tokenIds.length);
      return chunk(text, reason);
    });
    const timings = { queue_ms: 1, ttft_ms: 20, itl_ms: 10, tokens_per_second: 100 };
    return { timings, usage: undefined, promptTokenIds: () => prompt, tokenIds: () => [...tokenIds], [Symbol.asyncIterator]: () => chunks };
  }

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
async function* play<Chunk>(
  script: Script, signal: AbortSignal, chunk: (text: string, reason: 'stop' | null) => Chunk,
): AsyncGenerator<Chunk, void> {
  const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  for (const step of script) {
    if (typeof step === 'string') yield chunk(step, null);
    else if (step instanceof Error) throw step;
    else await Promise.race([step, aborted]);
    if (signal.aborted) return;
  }
  yield chunk('', 'stop');
}

const chatChunk = (content: string, reason: 'stop' | null) =>
  ({ choices: [{ index: 0, delta: { content }, logprobs: null, finish_reason: reason }] }) as const;
const textChunk = (text: string, reason: 'stop' | null) =>
  ({ choices: [{ index: 0, text, logprobs: null, finish_reason: reason }] }) as const;

export function memoryStorage(): PageStorage {
  const items = new Map<string, string>();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  };
}

/** Conversations in memory, as a browser's tabs would share them; `stored` may be written to. */
export function memoryConversations(stored = new Map<string, unknown>()): ConversationStore {
  return {
    read: async (id) => parseConversation(stored.get(id)),
    write: async (conversation, expected) => {
      const version = nextVersion(stored.get(conversation.id), expected);
      if (version !== undefined) stored.set(conversation.id, { ...conversation, version } satisfies Conversation);
      return version;
    },
    list: async () => summarise([...stored.values()]),
    remove: async (id) => void stored.delete(id),
  };
}

export function memoryCache(models: CachedModel[] = []): CacheAccess {
  let isPersistent = false;
  return {
    list: async () => [...models],
    remove: async (url) => {
      const at = models.findIndex((model) => model.url === url);
      if (at >= 0) models.splice(at, 1);
    },
    persist: async () => (isPersistent = true),
    isPersistent: async () => isPersistent,
    estimate: async () => ({ usage: 1e9, quota: 5e9 }),
  };
}

/** A world with nothing in it, but for what a test puts there. */
export function fakeEnvironment(changes: Partial<ChatEnvironment> = {}): ChatEnvironment {
  return {
    createClient: async () => new FakeClient([]),
    findDefaultModel: async () => ({ available: false, reason: 'no network' }),
    findObstacle: () => undefined,
    isOnline: () => true,
    session: memoryStorage(),
    lasting: memoryStorage(),
    baseUrl: 'https://page.test/',
    rememberModel: () => {},
    listRepository: async () => [],
    conversations: memoryConversations(),
    cache: memoryCache(),
    isRedirected: async () => false,
    now: () => 0,
    clock: () => 0,
    nextFrame: (callback) => callback(),
    ...changes,
  };
}
