import { TabserveError } from '../core/errors.ts';
import { checkLoadSettings } from '../core/load-settings.ts';
import type { Locks } from '../core/locks.ts';
import type { EngineMetrics } from '../core/metrics.ts';
import type { LoadProgress } from '../core/progress.ts';
import { mayPersist } from '../core/protocol.ts';
import type { LoadOptions, ModelInfo } from '../core/protocol.ts';
import { sleep } from '../core/sleep.ts';
import type { EngineSnapshot } from '../core/snapshot.ts';
import { untilAborted } from '../core/until-aborted.ts';
import { noChatTemplate } from '../tokenizer/template-source.ts';
import { type GpuChannel, GpuLease } from './gpu-lease.ts';
import type { KeptPrefixes } from './keep-prefixes.ts';
import { ModelAddresses } from './model-addresses.ts';
import type { ModelInstance } from './model-instance.ts';
import { metricsOf } from './model-metrics.ts';
import { ModelPool } from './model-pool.ts';
import type { LoadModel } from './served-model.ts';
import { type ConnectedSession, SessionRegistry } from './session-registry.ts';
import { SnapshotAnonymizer } from './snapshot-anonymizer.ts';

export interface ModelManagerOptions {
  readonly loadModel: LoadModel;
  /** The prefixes that loaded models keep in storage. @default none */
  readonly prefixes?: Pick<KeptPrefixes, 'deleteAll'>;
  readonly locks: Locks;
  /** Between the engines of the origin: see {@link GPU_CHANNEL}. */
  readonly gpuChannel: GpuChannel;
  /** The engine's clock, in milliseconds. */
  readonly clock: () => number;
  /** @default a timer */
  readonly sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

const SWITCHED = new TabserveError('aborted', 'The model was unloaded: its tab has loaded another one.');

/** The models of this worker, and which session has which. A session has one: the last that it loaded. */
export class ModelManager {
  readonly sessions = new SessionRegistry();
  readonly #pool: ModelPool;
  readonly #addresses = new ModelAddresses();
  readonly #prefixes: ModelManagerOptions['prefixes'];
  readonly #bySession = new WeakMap<ConnectedSession, ModelInstance>();

  constructor({ loadModel, prefixes, locks, gpuChannel, clock, sleep: pause = sleep }: ModelManagerOptions) {
    this.#prefixes = prefixes;
    this.#pool = new ModelPool({
      loadModel: this.#addresses.loadFrom(loadModel),
      lease: new GpuLease({ locks, channel: gpuChannel, onWantedChange: () => this.#pool.update() }),
      log: (level, message, sessions) => this.sessions.log(level, message, sessions),
      clock,
      sleep: pause,
    });
  }

  /**
   * A session has connected.
   * @throws TabserveError `closed` where its tab has made a later handshake
   */
  attach(session: ConnectedSession, handshake = 0): void {
    const replaced = this.sessions.add(session, handshake);
    if (replaced !== undefined) this.#forget(replaced);
  }

  /** A session has gone. Its requests end; their blocks are free once the step under way has ended. */
  detach(session: ConnectedSession): void {
    if (this.sessions.delete(session)) this.#forget(session);
  }

  /**
   * Loads a model for the session, or joins the sessions that have it. Invalid settings are refused before anything is
   * unloaded. With `requireChat`, a model that cannot chat is refused as soon as its header has been read, or at once where
   * it is loaded. Whether prompts may be kept in storage holds for this session alone; where it forbids that, all that was
   * kept is deleted.
   *
   * @throws TabserveError `invalid_request`, `model_busy`, and whatever the load fails with
   */
  async load(
    session: ConnectedSession,
    { requireChat = false, ...wanted }: LoadOptions,
    onProgress: (progress: LoadProgress) => void,
  ): Promise<ModelInfo> {
    const options = this.#accept(session, wanted);
    const refused = new AbortController();
    const check = ({ chatTemplate }: Pick<ModelInfo, 'chatTemplate'> | LoadProgress): void => {
      if (!requireChat || chatTemplate !== 'none' || refused.signal.aborted) return;
      refused.abort(noChatTemplate());
      this.#leaveModel(session); // the last one to leave ends the load
    };
    const report = (progress: LoadProgress): void => {
      check(progress);
      if (!refused.signal.aborted) onProgress(progress);
    };
    const loading = this.#join(session, options, mayPersist(wanted), report);
    const info = await untilAborted(loading, refused.signal);
    check(info);
    refused.signal.throwIfAborted();
    onProgress(readyProgress(info));
    return info;
  }

  /**
   * Gives a session back the model that it had in a worker that has died. It is loaded with its next request: the models
   * of all tabs may be more than fit on the GPU together.
   */
  restore(session: ConnectedSession, wanted: LoadOptions): void {
    const options = this.#accept(session, wanted);
    const instance = this.#pool.find(session, options) ?? this.#pool.create(options);
    this.#bySession.set(session, instance);
    instance.restore(session, mayPersist(wanted));
  }

  /** The model that the session loaded last, whatever its state. */
  of(session: ConnectedSession): ModelInstance | undefined {
    return this.#bySession.get(session);
  }

  /** @throws TabserveError `closed` where the session has gone, `invalid_request` where it has loaded no model */
  require(session: ConnectedSession): ModelInstance {
    if (!this.sessions.has(session)) throw new TabserveError('closed', 'The session has ended.');
    const instance = this.of(session);
    if (instance !== undefined) return instance;
    throw new TabserveError('invalid_request', 'No model is loaded yet; wait for createClient.');
  }

  /** A tab was hidden or shown. */
  visibilityChanged(): void {
    this.#pool.update();
  }

  /** The metrics of the session's model, if it has one, and of the worker. */
  metrics(session?: ConnectedSession): EngineMetrics {
    const own = (session && this.of(session)?.metrics()) ?? metricsOf(undefined, 'idle', 0);
    const models = Array.from(this.#pool.instances, (instance) => instance.summary());
    return { ...own, sessions: this.sessions.size, models };
  }

  /** The requests of all sessions that have the same model, as this session may see them. */
  snapshot(session: ConnectedSession): EngineSnapshot {
    return this.of(session)?.snapshot(session) ?? new SnapshotAnonymizer().anonymize(session, [session], []);
  }

  #join(session: ConnectedSession, options: LoadOptions, persists: boolean, onProgress: (progress: LoadProgress) => void): Promise<ModelInfo> {
    const existing = this.#pool.find(session, options);
    const before = this.of(session);
    if (before !== existing) before?.leave(session, SWITCHED);
    this.#pool.sweep();
    if (existing !== undefined) this.#pool.closeUnused(existing);
    const instance = existing ?? this.#pool.create(options);
    this.#bySession.set(session, instance);
    const loading = instance.load(session, persists, onProgress);
    this.#pool.update();
    return loading;
  }

  #forget(session: ConnectedSession): void {
    this.#addresses.delete(session);
    this.#leaveModel(session);
  }

  #leaveModel(session: ConnectedSession): void {
    this.of(session)?.leave(session);
    this.#bySession.delete(session);
    this.#pool.update();
  }

  /** Checks what a session asks for. @returns the part that concerns the model @throws TabserveError `invalid_request` */
  #accept(session: ConnectedSession, { persistOwnPrefixes: _own, persistPrefixCache, ...settings }: LoadOptions): LoadOptions {
    checkLoadSettings({ ...settings, persistPrefixCache });
    if (persistPrefixCache === false) this.#deletePrefixes(session);
    // An opt-out says nothing of the model, which others may have loaded otherwise.
    const options = persistPrefixCache ? { ...settings, persistPrefixCache } : settings;
    if (this.sessions.has(session)) this.#addresses.add(session, options);
    return options;
  }

  /** In the background. */
  #deletePrefixes(session: ConnectedSession): void {
    this.#prefixes?.deleteAll().catch((error: unknown) => {
      const message = `The prefixes kept in this browser's storage could not be deleted: ${String(error)}`;
      this.sessions.log('warn', message, [session]);
    });
  }
}

function readyProgress({ fileBytes, chatTemplate }: ModelInfo): LoadProgress {
  return { stage: 'ready', bytesDone: fileBytes, bytesTotal: fileBytes, bytesPerSecond: 0, secondsLeft: 0, chatTemplate };
}
