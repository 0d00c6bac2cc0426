import { TabserveError } from '../core/errors.ts';
import type { LogFrame } from '../core/frames.ts';
import { checkLoadSettings } from '../core/load-settings.ts';
import type { Locks } from '../core/locks.ts';
import type { EngineMetrics } from '../core/metrics.ts';
import type { AdapterLimits, ProfileOptions, StepProfile } from '../core/profile.ts';
import type { LoadProgress } from '../core/progress.ts';
import { mayPersist } from '../core/protocol.ts';
import type { GenerateRequest, LoadOptions, ModelInfo, Queued } from '../core/protocol.ts';
import { sleep } from '../core/sleep.ts';
import type { EngineSnapshot } from '../core/snapshot.ts';
import { untilAborted } from '../core/until-aborted.ts';
import { noChatTemplate } from '../tokenizer/template-source.ts';
import { NO_MODEL } from './engine-numbers.ts';
import { GpuLease } from './gpu-lease.ts';
import type { ConnectedSession } from './host-session.ts';
import type { KeptPrefixes } from './keep-prefixes.ts';
import { SnapshotAnonymizer } from './snapshot-anonymizer.ts';
import { ModelAddresses } from './model-addresses.ts';
import type { ModelInstance } from './model-instance.ts';
import { ModelManager } from './model-manager.ts';
import type { LoadModel } from './served-model.ts';

export interface HostOptions {
  readonly loadModel: LoadModel;
  /** What loaded models keep in storage. @default nothing */
  readonly prefixes?: Pick<KeptPrefixes, 'deleteAll'>;
  readonly locks: Locks;
  /** The engine's clock, in milliseconds. */
  readonly clock: () => number;
  /** @default a timer */
  readonly sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/** Log lines kept while no session is there to read them. */
const MAX_UNREAD_LOG_LINES = 100;

/** Serves models to sessions: what a session asks goes to the model that it has loaded. */
export class Host {
  readonly #models: ModelManager;
  readonly #addresses = new ModelAddresses();
  readonly #prefixes: HostOptions['prefixes'];
  readonly #sessions = new Set<ConnectedSession>();
  /** The last of each session. */
  readonly #handshakes = new WeakMap<ConnectedSession, number>();
  /** Those whose requests may be kept in storage. */
  readonly #persisting = new WeakSet<ConnectedSession>();
  readonly #unreadLog: LogFrame[] = [];

  constructor({ loadModel, prefixes, locks, clock, sleep: pause = sleep }: HostOptions) {
    this.#prefixes = prefixes;
    this.#models = new ModelManager({
      loadModel: this.#addresses.loadFrom(loadModel),
      lease: new GpuLease(locks),
      log: (sessions, level, message) => this.#logTo(sessions, { type: 'log', level, message }),
      clock,
      sleep: pause,
    });
  }

  /**
   * A session of the same name is one whose tab has not heard the answer, and shakes hands again: the last handshake counts,
   * whichever arrives first. @throws TabserveError `closed` for an earlier one
   */
  attach(session: ConnectedSession, handshake = 0): void {
    const other = [...this.#sessions].find(({ sessionId }) => sessionId === session.sessionId);
    if (other !== undefined && (this.#handshakes.get(other) ?? 0) > handshake) {
      throw new TabserveError('closed', 'The tab has connected to the worker again since.');
    }
    if (other !== undefined) this.detach(other);
    this.#sessions.add(session);
    this.#handshakes.set(session, handshake);
    session.send(this.#unreadLog.splice(0));
  }

  /** The session's requests end; their blocks are free once the step under way has ended. */
  detach(session: ConnectedSession): void {
    this.#addresses.delete(session);
    if (this.#sessions.delete(session)) this.#models.leave(session);
  }

  /**
   * Loads a model for the session, or joins those that have. Settings that mean nothing are refused before anything is
   * unloaded for it. One that cannot chat is refused where the session requires it: when its header has been read, before
   * anything else of it is, or at once where it is loaded. Whether prompts may be kept holds for the session alone, and
   * where it forbids that, what was kept is deleted.
   * @throws TabserveError `invalid_request`, `model_busy`, and what loading does
   */
  async load(
    session: ConnectedSession,
    { requireChat = false, ...wanted }: LoadOptions,
    onProgress: (progress: LoadProgress) => void,
  ): Promise<ModelInfo> {
    const options = this.#note(session, wanted);
    const refused = new AbortController();
    const check = ({ chatTemplate }: Pick<ModelInfo, 'chatTemplate'> | LoadProgress): void => {
      if (!requireChat || chatTemplate !== 'none' || refused.signal.aborted) return;
      refused.abort(noChatTemplate());
      this.#models.leave(session); // the last one to leave ends the load
    };
    const report = (progress: LoadProgress): void => {
      check(progress);
      if (!refused.signal.aborted) onProgress(progress);
    };
    const loading = this.#models.load(session, options, report);
    const info = await untilAborted(loading, refused.signal);
    check(info);
    refused.signal.throwIfAborted();
    onProgress(readyProgress(info));
    return info;
  }

  /**
   * Gives a session back the model that it had in a worker that has died. It is loaded when something is asked of it:
   * tabs that ask nothing may be more than fit on the GPU together.
   */
  keep(session: ConnectedSession, options: LoadOptions): void {
    this.#models.keep(session, this.#note(session, options));
  }

  /**
   * Queues a request, at once where its prompt is short, else when that is encoded.
   * @throws TabserveError `context_length_exceeded`, `queue_full`, or what the model's state is, by the promise if there is one
   */
  generate(session: ConnectedSession, request: GenerateRequest): Queued | Promise<Queued> {
    if (!this.#sessions.has(session)) throw new TabserveError('closed', 'The session has ended.');
    return this.#requireModel(session).generate(session, request, this.#persisting.has(session));
  }

  /** Ends a request of the session's own; one that has ended already is left alone. */
  abort(session: ConnectedSession, requestId: string): void {
    this.#models.of(session)?.abort(session, requestId);
  }

  /** Of the session's own model, if it has any, and of the host. */
  metrics(session?: ConnectedSession): EngineMetrics {
    const own = (session && this.#models.of(session)?.metrics()) ?? NO_MODEL;
    return { ...own, sessions: this.#sessions.size, models: this.#models.list() };
  }

  /** What runs and waits of all sessions of the same model, as this one may see it. */
  inspect(session: ConnectedSession): EngineSnapshot {
    return this.#models.of(session)?.inspect(session) ?? new SnapshotAnonymizer().anonymize(session, [session], []);
  }

  /** Where the GPU's time goes in the next steps, of all sessions. @throws TabserveError `device_lost` while there is no GPU */
  async profile(session: ConnectedSession, options: ProfileOptions): Promise<StepProfile> {
    return this.#requireModel(session).requireProfiler().profile(options);
  }

  /** What the adapter can do at most. @throws TabserveError `device_lost` while there is no GPU */
  async limits(session: ConnectedSession): Promise<AdapterLimits> {
    return this.#requireModel(session).requireProfiler().limits();
  }

  /** Tells every session, or the next one where there is none. */
  log(level: LogFrame['level'], message: string): void {
    this.#logTo(this.#sessions, { type: 'log', level, message });
  }

  /** Destroys the GPU device of the session's model, as a crash would. For tests and demonstrations. */
  loseDevice(session: ConnectedSession): void {
    this.#models.of(session)?.loseDevice();
  }

  /** Takes down what a session asks for. @returns what concerns the model @throws TabserveError `invalid_request` */
  #note(session: ConnectedSession, { persistOwnPrefixes, persistPrefixCache, ...settings }: LoadOptions): LoadOptions {
    checkLoadSettings({ ...settings, persistPrefixCache });
    if (mayPersist({ persistPrefixCache, persistOwnPrefixes })) this.#persisting.add(session);
    else this.#persisting.delete(session);
    if (persistPrefixCache === false) this.#deletePrefixes(session);
    // An opt-out says nothing of the model, which others may have loaded otherwise.
    const options = persistPrefixCache ? { ...settings, persistPrefixCache } : settings;
    if (this.#sessions.has(session)) this.#addresses.add(session, options);
    return options;
  }

  /** In the background. */
  #deletePrefixes(session: ConnectedSession): void {
    this.#prefixes?.deleteAll().catch((error: unknown) => {
      const message = `The prefixes kept in this browser's storage could not be deleted: ${String(error)}`;
      session.send([{ type: 'log', level: 'warn', message }]);
    });
  }

  #requireModel(session: ConnectedSession): ModelInstance {
    const instance = this.#models.of(session);
    if (instance !== undefined) return instance;
    throw new TabserveError('invalid_request', 'No model is loaded yet; wait for createClient.');
  }

  #logTo(sessions: ReadonlySet<ConnectedSession>, line: LogFrame): void {
    for (const session of sessions) session.send([line]);
    if (this.#sessions.size === 0 && this.#unreadLog.length < MAX_UNREAD_LOG_LINES) this.#unreadLog.push(line);
  }
}

function readyProgress({ fileBytes, chatTemplate }: ModelInfo): LoadProgress {
  return { stage: 'ready', bytesDone: fileBytes, bytesTotal: fileBytes, bytesPerSecond: 0, secondsLeft: 0, chatTemplate };
}
