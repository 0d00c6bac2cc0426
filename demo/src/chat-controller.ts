import type { ReactiveController, ReactiveControllerHost } from 'lit';
import type { Fault, LoadProgress, ModelInfo } from '../../src/index.ts';
import type { ChatEnvironment } from './chat-environment.ts';
import type { ChatClient } from './contract.ts';
import { isAtHand, type DefaultModel } from './default-model.ts';
import { Dialogue, type AnswerFigures, type Answerer } from './dialogue.ts';
import { EngineRoom, type EngineReading } from './engine-room.ts';
import { ModelCache } from './model-cache.ts';
import { recommendationFor } from './known-models.ts';
import { addressChoice, type ModelChoice } from './model-choice.ts';
import { badAddress, toProblem, type Problem } from './problems.ts';
import { Profiling } from './profiling.ts';
import type { SettingsChange } from './settings.ts';
import { SettingsState } from './settings-state.ts';
import type { Obstacle } from './webgpu-help.ts';

export type ModelState =
  | { readonly kind: 'starting' }
  /** With what could not be loaded for want of a GPU. */
  | { readonly kind: 'unsupported'; readonly obstacle: Obstacle; readonly choice?: ModelChoice }
  | { readonly kind: 'none' }
  | { readonly kind: 'loading'; readonly choice: ModelChoice; readonly progress: LoadProgress | undefined }
  | { readonly kind: 'failed'; readonly choice: ModelChoice | undefined; readonly problem: Problem }
  | { readonly kind: 'ready'; readonly choice: ModelChoice; readonly info: ModelInfo };

/** Everything the page knows, and the only part of it that talks to tabserve. Elements show it and send it events. */
export class ChatController implements ReactiveController {
  model: ModelState = { kind: 'starting' };
  readonly settings: SettingsState;
  readonly engine = new EngineRoom();
  readonly profiling: Profiling;
  readonly dialogue: Dialogue;
  readonly cache: ModelCache;
  /** `undefined` until the server has answered. */
  defaultModel: DefaultModel | undefined;

  readonly #host: ReactiveControllerHost;
  readonly #env: ChatEnvironment;
  #client: ChatClient | undefined;
  #load: AbortController | undefined;
  #frameRequested = false;

  constructor(host: ReactiveControllerHost, environment: ChatEnvironment) {
    const changed = (): void => host.requestUpdate();
    this.#host = host;
    this.#env = environment;
    this.settings = new SettingsState(environment.lasting);
    this.profiling = new Profiling(changed);
    this.dialogue = new Dialogue({
      environment,
      changed,
      grown: () => this.#renderSoon(),
      answerer: () => this.#answerer,
      settings: () => this.settings.values,
      failed: (problem) => this.#loseModel(problem),
    });
    this.cache = new ModelCache(environment.cache, changed);
    host.addController(this);
  }

  /** What the latest answer cost, where the model that is loaded made it. */
  get figures(): AnswerFigures | undefined {
    return this.dialogue.figuresOf(this.model.kind === 'ready' ? this.model.info.id : undefined);
  }

  get #answerer(): Answerer | undefined {
    if (this.model.kind !== 'ready' || this.#client === undefined) return undefined;
    const { choice, info } = this.model;
    return { client: this.#client, model: { id: info.id, name: choice.label } };
  }

  hostDisconnected(): void {
    this.dialogue.stop();
    this.#load?.abort();
    void this.#client?.close();
  }

  /**
   * Loads the model that `address` names, else the default one if it is at hand; else leaves the choice to the user.
   *
   * @param settings what the address sets
   */
  async start(address: string | null, settings: SettingsChange = {}): Promise<void> {
    this.settings.setByAddress(settings);
    const restoring = this.dialogue.history.restore();
    await this.#begin(address);
    await restoring;
  }

  async #begin(address: string | null): Promise<void> {
    const obstacle = this.#env.findObstacle();
    if (obstacle !== undefined) return this.#setModel({ kind: 'unsupported', obstacle });
    const fromAddress = address === null ? undefined : addressChoice(address);
    const looking = this.#env.findDefaultModel().then((found) => {
      this.defaultModel = found;
      this.#host.requestUpdate();
      return found;
    });
    if (address !== null && fromAddress === undefined) {
      return this.#setModel({ kind: 'failed', choice: undefined, problem: badAddress(`?model=${address}`) });
    }
    if (fromAddress !== undefined) return this.load(fromAddress);
    const found = await looking;
    const asksFirst = !found.available || !(await isAtHand(found, this.#env.cache));
    if (this.model.kind !== 'starting') return;
    if (asksFirst) this.#setModel({ kind: 'none' });
    else await this.load(found.choice);
  }

  /** Loads a model in place of the one that is loaded or loading. Never rejects: the outcome is `model`. */
  async load(choice: ModelChoice): Promise<void> {
    this.#load?.abort();
    const load = new AbortController();
    this.#load = load;
    this.dialogue.stop();
    const previous = this.#client;
    this.#client = undefined;
    this.engine.reset();
    this.profiling.reset();
    this.#setModel({ kind: 'loading', choice, progress: undefined });
    let hasArrived = false;
    try {
      await previous?.close();
      const client = await this.#env.createClient({
        model: choice.source,
        signal: load.signal,
        onProgress: (progress) => {
          hasArrived ||= progress.bytesDone > 0;
          // The last of them may arrive after the client itself.
          if (this.#load !== load || this.model.kind !== 'loading') return;
          this.model = { kind: 'loading', choice, progress };
          this.#renderSoon();
        },
        onStatus: (status) => {
          if (this.#load !== load || this.model.kind !== 'ready') return;
          this.engine.takeStatus(status, this.#env.now());
          this.#host.requestUpdate();
        },
      });
      if (this.#load !== load) return await client.close();
      this.#client = client;
      this.settings.recommend(recommendationFor(client.model, choice.label));
      this.#setModel({ kind: 'ready', choice, info: client.model });
    } catch (error) {
      const { clock, isOnline } = this.#env;
      const circumstances = { hasArrived, isOnline: isOnline(), now: clock() };
      if (this.#load === load) this.#failModel(choice, toProblem(error, circumstances));
    }
  }

  cancelLoad(): void {
    this.#load?.abort();
    this.#load = undefined;
    this.#setModel({ kind: 'none' });
  }

  /** The connection is back: a load that failed for want of it goes on. */
  backOnline(): void {
    const { model } = this;
    if (model.kind === 'failed' && model.problem.offline === true && model.choice !== undefined) void this.load(model.choice);
  }

  changeSettings(change: SettingsChange): void {
    this.settings.change(change);
    this.#host.requestUpdate();
  }

  resetSettings(): void {
    this.settings.reset();
    this.#host.requestUpdate();
  }

  /** For the poller. Rejects where what was read is of a model that is loaded no more. */
  readEngine(): Promise<EngineReading> | undefined {
    const client = this.#client;
    if (client === undefined) return undefined;
    return Promise.all([client.metrics(), client.inspect()]).then(([metrics, snapshot]) => {
      if (client !== this.#client) throw new Error('Another model has been loaded meanwhile.');
      return { metrics, snapshot };
    });
  }

  takeReading(reading: EngineReading): void {
    this.engine.take(reading, this.#env.now());
    this.#host.requestUpdate();
  }

  /** Breaks the engine on purpose. What becomes of it comes as a status. */
  injectFault(fault: Fault): void {
    this.#client?.injectFault(fault).catch(() => {}); // it is gone already
  }

  /** Profiles the next steps; what comes of it is `profiling.state`. */
  profileSteps(): void {
    if (this.#client !== undefined) void this.profiling.run(this.#client);
  }

  /** The banner that tells of a recovery has been seen. */
  dismissRecovery(): void {
    this.engine.recovery = undefined;
    this.#host.requestUpdate();
  }

  /** An error that ends the engine, not only the answer, also ends `ready`. */
  #loseModel(problem: Problem): void {
    const fatal = problem.code === 'device_lost' || problem.code === 'closed' || problem.code === 'out_of_memory';
    if (!fatal || this.model.kind !== 'ready') return;
    this.engine.recovery = undefined;
    this.#setModel({ kind: 'failed', choice: this.model.choice, problem });
  }

  #failModel(choice: ModelChoice, problem: Problem): void {
    if (problem.code !== 'webgpu_unavailable') return this.#setModel({ kind: 'failed', choice, problem });
    const obstacle = this.#env.findObstacle() ?? { lack: 'adapter', detail: problem.detail };
    this.#setModel({ kind: 'unsupported', obstacle, choice });
  }

  #setModel(model: ModelState): void {
    this.model = model;
    this.#host.requestUpdate();
  }

  /** For what changes with every token. */
  #renderSoon(): void {
    if (this.#frameRequested) return;
    this.#frameRequested = true;
    this.#env.nextFrame(() => {
      this.#frameRequested = false;
      this.#host.requestUpdate();
    });
  }
}
