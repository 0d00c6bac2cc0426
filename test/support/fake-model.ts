import { type SerializedError, TabserveError } from '../../src/core/errors.ts';
import { settingsOf } from '../../src/core/load-settings.ts';
import type { ChatTemplateOrigin, LoadOptions } from '../../src/core/protocol.ts';
import type { EngineRequest, FinishReason, RequestOutput } from '../../src/core/request.ts';
import type { Task } from '../../src/core/cooperative-task.ts';
import type { GpuNeed } from '../../src/runner/gpu-budget.ts';
import { noChatTemplate } from '../../src/tokenizer/template-source.ts';
import { modelId } from '../../src/worker/model-identity.ts';
import { FAKE_LIMITS, fakeProfile } from './fake-profiler.ts';
import type {
  LoadContext, LoadModel, ServedEngine, ServedModel, ServedTokenizer,
} from '../../src/worker/served-model.ts';

/** Ends an answer of the byte tokenizer. */
export const END = 256;

/** Each byte is a token; a chat is its messages' texts. */
export const byteTokenizer: ServedTokenizer = {
  stopTokenIds: [END],
  chatTask: (messages) => bytesInSteps(messages.map(({ content }) => content).join('\n')),
  promptTask: bytesInSteps,
  createDetokenizer: () => {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    return {
      decode: (id) => decoder.decode(id === END ? new Uint8Array(0) : Uint8Array.of(id), { stream: true }),
      flush: () => decoder.decode(),
    };
  },
};

function cannotChat(): never {
  throw noChatTemplate();
}

/** Each of them a step of a long text's work; a short one is none. */
const STEP = 4096;

function* bytesInSteps(text: string): Task<number[]> {
  for (let place = STEP; place < text.length; place += STEP) yield;
  return bytes(text);
}

/** A text's tokens for the byte tokenizer. */
export function bytes(text: string): number[] {
  return [...new TextEncoder().encode(text)];
}

/** The output of a step for one request. */
export interface FakeOutput {
  readonly id: string;
  readonly tokens: readonly number[];
  readonly finish?: FinishReason;
  readonly scheduled?: number;
  readonly cached?: number;
  readonly error?: SerializedError;
}

/** An engine that generates what its test says, when it says so. */
export class FakeEngine implements ServedEngine {
  readonly live = new Map<string, EngineRequest>();
  /** Requests taken so far. */
  added = 0;
  maxPromptTokens = 1000;
  readonly #steps: (readonly RequestOutput[])[] = [];
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  add(request: EngineRequest): void {
    if (request.promptTokenIds.length > this.maxPromptTokens) throw new TabserveError('context_length_exceeded', 'too long');
    this.live.set(request.requestId, request);
    this.added++;
  }

  abort(requestId: string): void {
    this.live.delete(requestId);
  }

  abortSession(sessionId: string): void {
    for (const [id, request] of this.live) if (request.sessionId === sessionId) this.live.delete(id);
  }

  stats(): ReturnType<ServedEngine['stats']> {
    return {
      requestsRunning: this.live.size, requestsWaiting: 0, kvBlocksUsed: 2 * this.live.size, kvBlocksTotal: 64,
      kvBlockSize: 16, preemptions: 0, promptTokens: 7, generationTokens: 9, prefixCacheQueries: 8,
      prefixCacheHits: 4, prefillTokensPerSecond: 30, decodeTokensPerSecond: 10,
    };
  }

  snapshot(): ReturnType<ServedEngine['snapshot']> {
    const requests = Array.from(this.live.values(), ({ requestId, sessionId, promptTokenIds }, i) => ({
      requestId, sessionId, state: 'running' as const, numTokens: promptTokenIds.length,
      numComputedTokens: promptTokenIds.length, blockTable: [0, i + 1],
    }));
    const shared = requests.length > 1 ? [{ block: 0, refCount: requests.length }] : [];
    const pool = { numBlocks: 64, blockSize: 16, numFree: 63 - requests.length, cachedFree: [63], shared };
    return { requests, maxNumSeqs: 4, pool };
  }

  /** The only live request's id. */
  get only(): string {
    const [id, ...others] = this.live.keys();
    if (id === undefined || others.length > 0) throw new Error(`${this.live.size} requests are live`);
    return id;
  }

  /** One step, with tokens for each of the requests named. */
  step(...outputs: readonly FakeOutput[]): void {
    for (const { id, finish } of outputs) if (finish !== undefined) this.live.delete(id);
    this.#steps.push(outputs.map(({ id, tokens, finish, scheduled, cached, error }) => ({
      requestId: id, newTokenIds: tokens, finishReason: finish, firstScheduledTime: scheduled ?? 0,
      numCachedTokens: cached ?? 0, error,
    })));
    this.#wake?.();
  }

  /** The next step throws. */
  fail(error: Error): void {
    this.#failure = error;
    this.#wake?.();
  }

  async *run(): AsyncGenerator<readonly RequestOutput[], void> {
    for (;;) {
      const step = this.#steps.shift();
      if (step !== undefined) yield step;
      else if (this.#failure !== undefined) throw this.#failure;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

/** A load that its test finishes. */
export interface FakeLoad {
  readonly options: LoadOptions;
  readonly context: LoadContext;
  readonly engine: FakeEngine;
  /** Whether the model has been destroyed. */
  readonly destroyed: () => boolean;
  finish(): void;
  fail(error: Error): void;
  lose(error: TabserveError): void;
}

const NO_NEED: GpuNeed = { minBytes: 0, enoughBytes: 0, wantedBytes: 0, budgetBytes: Number.MAX_SAFE_INTEGER };

/** A loader whose loads wait to be finished, in the order in which they were asked for. */
export class FakeLoader {
  /** Those that have been given memory. */
  readonly loads: FakeLoad[] = [];
  /** The names of all that have begun. */
  readonly begun: string[] = [];
  /** The GPU memory that models need, by name. @default nothing */
  readonly needs = new Map<string, GpuNeed>();
  /** A promise that a load awaits before it asks for memory, by name: its header. @default nothing */
  readonly headers = new Map<string, Promise<void>>();

  /** The origin of the models' chat template. */
  chatTemplate: ChatTemplateOrigin = 'file';

  readonly loadModel: LoadModel = async (options, context) => {
    const id = modelId(options);
    this.begun.push(id);
    const need = this.needs.get(id) ?? NO_NEED;
    await this.headers.get(id);
    const gpuBytes = await context.reserve(need);
    return new Promise((resolve, reject) => {
      const engine = new FakeEngine();
      let destroyed = false;
      let lose: (error: TabserveError) => void = () => {};
      const lost = new Promise<TabserveError>((lostResolve) => (lose = lostResolve));
      const settings = settingsOf(options);
      const model: ServedModel = {
        info: {
          id, name: `Model ${id}`, architecture: 'fake', contextLength: 1024, maxModelLen: 1024, kvCacheDtype: 'f32', numerics: 'f32',
          kvCacheBytes: 4096, vocabSize: 257, chatTemplate: this.chatTemplate,
          fileBytes: 1000, recommendedSampling: {}, settings,
        },
        adapter: { vendor: 'fake', architecture: 'fake', device: '', description: '', isSoftware: true, features: [] },
        gpuBytes,
        tokenizer: this.chatTemplate === 'none' ? { ...byteTokenizer, chatTask: cannotChat } : byteTokenizer,
        engine,
        profiler: { profile: async () => fakeProfile(engine.added), limits: async () => FAKE_LIMITS },
        lost,
        counters: () => ({ steps: 1, dispatches: 2, submits: 3, bindGroupsCreated: 0, bytesReadBack: 4 }),
        tuning: () => ({ state: 'done', wallMs: 9, gpuMs: 7, pipelinesCompiled: 3, numKernels: 1, kernels: [], rejected: [] }),
        invariance: () => ({ state: 'verified' }),
        kernelsToCompile: () => 5,
        loseDevice: () => lose(new TabserveError('closed', 'destroyed')),
        destroy: () => void (destroyed = true),
      };
      const finish = (): void => resolve(model);
      this.loads.push({ options, context, engine, destroyed: () => destroyed, finish, fail: reject, lose });
    });
  };

  /** The last load asked for. */
  get last(): FakeLoad {
    const last = this.loads.at(-1);
    if (last === undefined) throw new Error('Nothing was loaded.');
    return last;
  }
}
