import { chatEndpoint, textEndpoint } from '../api/endpoints.ts';
import { TabserveError } from '../core/errors.ts';
import type { LogFrame } from '../core/frames.ts';
import type { EngineMetrics } from '../core/metrics.ts';
import type { ModelInfo } from '../core/protocol.ts';
import type { AdapterLimits, ProfileOptions, StepProfile } from '../core/profile.ts';
import type { EngineSnapshot } from '../core/snapshot.ts';
import type { EngineStatus } from '../core/status.ts';
import { type ChatCompletions, Completions, type TextCompletions } from './completions.ts';
import { SESSION } from './session-key.ts';
import type { ClientSession } from './session.ts';
import { asyncDisposeBy } from './dispose.ts';

/** A line of the engine's log. */
export type LogLine = Pick<LogFrame, 'level' | 'message'>;

/** A connection to the origin's engine, with its model loaded. Made by `createClient`. */
export class Client implements AsyncDisposable {
  /** The loaded model. */
  readonly model: ModelInfo;
  /** Answers to messages, by the model's chat template, in OpenAI's form. */
  readonly chat: { readonly completions: ChatCompletions };
  /** Continues a text or token ids, in OpenAI's form. */
  readonly completions: TextCompletions;
  /** As `close()`, for `await using`. */
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  readonly #session: ClientSession;

  static {
    asyncDisposeBy(this.prototype, (client) => client.close());
  }

  /** @internal */
  constructor(session: ClientSession, model: ModelInfo, modelNames: readonly string[], cacheSalt?: string) {
    this.#session = session;
    this.model = model;
    const context = { session, modelId: model.id, modelNames, cacheSalt };
    this.chat = { completions: new Completions(chatEndpoint, context) };
    this.completions = new Completions(textEndpoint, context);
  }

  /** @internal */
  get [SESSION](): ClientSession {
    return this.#session;
  }

  /** The state of the engine, which all tabs share. @throws TabserveError `closed`, `device_lost` */
  metrics(): Promise<EngineMetrics> {
    return this.#session.call((host) => host.metrics());
  }

  /**
   * The holders of all KV blocks at this moment, of all tabs, for pictures of the engine at work. Cheap enough for
   * several calls a second. It reveals nothing of other tabs' prompts or answers.
   * @throws TabserveError `closed`, `device_lost`
   */
  inspect(): Promise<EngineSnapshot> {
    return this.#session.call((host) => host.inspect());
  }

  /**
   * The GPU time of each kernel in the next steps that decode (or read a prompt), of all tabs. These steps are slower; their
   * answers are the same. Where `limits()` has not been measured, it is measured first if nothing runs.
   * @throws TabserveError `profiling_unavailable` (no GPU timestamps in this browser), `deadline_exceeded` (no such step
   *   came in time: send a request), `invalid_request`, `device_lost`, `closed`
   */
  profile(options: ProfileOptions = {}): Promise<StepProfile> {
    return this.#session.callTask((host) => host.profile(options));
  }

  /**
   * The adapter's peak rates, measured on it once for a loaded model: a second or two, as soon as nothing runs.
   * Requests that come meanwhile wait.
   * @throws TabserveError `out_of_memory`, `device_lost`, `closed`
   */
  limits(): Promise<AdapterLimits> {
    return this.#session.callTask((host) => host.limits());
  }

  /** Listens to the engine's log, in place of the listener before. */
  onLog(listener: (line: LogLine) => void): void {
    this.#session.listeners.onLog = listener;
  }

  /** Listens to losses and recoveries, in place of the listener before. */
  onStatus(listener: (status: EngineStatus) => void): void {
    this.#session.listeners.onStatus = listener;
  }

  /**
   * Ends this client's requests with `closed` and frees what they hold. Other clients, and the model for as long as
   * they use it, stay. Later calls are refused with `closed`.
   */
  close(): Promise<void> {
    return this.#session.close(new TabserveError('closed', 'The client has been closed; create a new one.'));
  }
}
