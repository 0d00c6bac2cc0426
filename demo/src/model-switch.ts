import { TabserveError, type EngineStatus, type LoadProgress, type ModelInfo } from '../../src/index.ts';
import type { ChatEnvironment } from './chat-environment.ts';
import type { ChatClient } from './contract.ts';
import type { ModelChoice } from './model-choice.ts';
import type { ModelLink } from './model-link.ts';
import { toProblem, type Problem } from './problems.ts';
import type { Obstacle } from './webgpu-help.ts';

export interface LoadingModel {
  readonly kind: 'loading';
  readonly choice: ModelChoice;
  readonly progress: LoadProgress | undefined;
}

export interface FailedModel {
  readonly kind: 'failed';
  readonly choice: ModelChoice | undefined;
  readonly problem: Problem;
  /** The previous model, which is no longer loaded. */
  readonly before?: ModelChoice | undefined;
}

export interface ReadyModel {
  readonly kind: 'ready';
  readonly choice: ModelChoice;
  readonly info: ModelInfo;
  /** The model that will replace it. Until that one is ready, this one answers. */
  readonly next?: LoadingModel | FailedModel | undefined;
}

/** Models that wait for the user: one that was deleted from this device, and one that only a link names. */
export type Offer =
  | { readonly why: 'deleted'; readonly choice: ModelChoice }
  | { readonly why: 'linked'; readonly link: ModelLink };

export type ModelState =
  | { readonly kind: 'starting' }
  /** With what could not be loaded for want of a GPU. */
  | { readonly kind: 'unsupported'; readonly obstacle: Obstacle; readonly choice?: ModelChoice }
  | { readonly kind: 'none'; readonly offer?: Offer }
  | LoadingModel
  | FailedModel
  | ReadyModel;

export interface ModelSwitchOptions {
  readonly environment: Pick<ChatEnvironment, 'createClient' | 'findObstacle' | 'isOnline' | 'clock'>;
  readonly changed: () => void;
  /** Loading has come further, which it does often. */
  readonly progressed: () => void;
  /** Another model answers from here on. */
  readonly switched: (ready: ReadyModel) => void;
  /** The engine of the model that answers is lost, or back. */
  readonly onStatus: (status: EngineStatus) => void;
  readonly answers: {
    /** Resolves when a client answers nothing. */
    settled(client: ChatClient): Promise<void>;
    /** Stops what a client answers. False where that is nothing. */
    stop(client: ChatClient): boolean;
  };
}

/**
 * Which model answers. One that is loaded takes the place of another only when it is ready: an address that is mistyped, or
 * a download that breaks off, costs nobody the model that works.
 */
export class ModelSwitch {
  state: ModelState = { kind: 'starting' };
  readonly #options: ModelSwitchOptions;
  /** Of the model that is ready. */
  #client: ChatClient | undefined;
  /** The last that was ready. */
  #last: ModelChoice | undefined;
  #load: AbortController | undefined;

  constructor(options: ModelSwitchOptions) {
    this.#options = options;
  }

  /** Of the model that answers. */
  get client(): ChatClient | undefined {
    return this.#client;
  }

  /** The failure of the last load. */
  get failure(): FailedModel | undefined {
    const shown = this.#shown;
    return shown?.kind === 'failed' ? shown : undefined;
  }

  /** Loads a model, in place of one that loads. Never rejects: the outcome is `state`. */
  async load(choice: ModelChoice): Promise<void> {
    this.#load?.abort();
    const load = new AbortController();
    this.#load = load;
    const isCurrent = (): boolean => this.#load === load;
    this.#show({ kind: 'loading', choice, progress: undefined });
    let hasArrived = false;
    let client: ChatClient | undefined;
    const { environment, onStatus } = this.#options;
    const create = (): Promise<ChatClient> => environment.createClient({
      model: choice.source,
      signal: load.signal,
      onProgress: (progress) => {
        hasArrived ||= progress.bytesDone > 0;
        if (isCurrent()) this.#show({ kind: 'loading', choice, progress }, this.#options.progressed);
      },
      onStatus: (status) => {
        if (client !== undefined && client === this.#client) onStatus(status);
      },
    });
    try {
      client = await create().catch(async (error: unknown) => {
        if (!isCurrent() || !isForWantOfMemory(error) || !(await this.#makeRoom())) throw error;
        return create();
      });
      if (isCurrent()) this.#take(choice, client);
      else await client.close();
    } catch (error) {
      const circumstances = { hasArrived, isOnline: environment.isOnline(), now: environment.clock() };
      if (isCurrent()) this.#fail(choice, toProblem(error, circumstances));
    }
  }

  /** Gives up what loads. */
  cancel(): void {
    this.#giveUp();
    if (this.state.kind === 'ready') this.#set({ ...this.state, next: undefined });
    else this.#set({ kind: 'none' });
  }

  /** After a load that failed: to the model that answers, or answered before. */
  back(): void {
    if (this.state.kind === 'ready') this.cancel();
    else if (this.state.kind === 'failed' && this.state.before !== undefined) void this.load(this.state.before);
  }

  /** Shows no longer that a load has failed, where another model answers. */
  dismissFailure(): void {
    if (this.state.kind === 'ready' && this.state.next?.kind === 'failed') this.cancel();
  }

  /** There is nothing to load by itself. */
  rest(state: ModelState & { readonly kind: 'none' | 'unsupported' | 'failed' }): void {
    this.#set(state);
  }

  /** The engine of a client's model is gone for good. */
  lose(client: ChatClient, problem: Problem): void {
    if (client !== this.#client || this.state.kind !== 'ready') return;
    const { choice, next } = this.state;
    this.#client = undefined;
    void client.close();
    this.#set(next?.kind === 'loading' ? next : { kind: 'failed', choice, problem });
  }

  /** The page is left. */
  close(): void {
    this.#giveUp();
    void this.#client?.close();
  }

  get #shown(): ModelState | undefined {
    return this.state.kind === 'ready' ? this.state.next : this.state;
  }

  #take(choice: ModelChoice, client: ChatClient): void {
    const before = this.#client;
    const ready: ReadyModel = { kind: 'ready', choice, info: client.model };
    this.#load = undefined;
    this.#client = client;
    this.#last = choice;
    this.state = ready;
    this.#options.switched(ready);
    this.#options.changed();
    if (before !== undefined) void this.#options.answers.settled(before).then(() => before.close());
  }

  #fail(choice: ModelChoice, problem: Problem): void {
    this.#load = undefined;
    if (problem.code === 'webgpu_unavailable' && this.state.kind !== 'ready') {
      const obstacle = this.#options.environment.findObstacle() ?? { lack: 'adapter', detail: problem.detail };
      return this.#set({ kind: 'unsupported', obstacle, choice });
    }
    const before = this.#last === choice ? undefined : this.#last;
    this.#show({ kind: 'failed', choice, problem, before });
  }

  /**
   * The model that answers lets go of the GPU: the worker parks one that is idle by itself, and leaves one that answers alone.
   * False where that one is not in the way.
   */
  async #makeRoom(): Promise<boolean> {
    const client = this.#client;
    if (client === undefined || this.state.kind !== 'ready' || !this.#options.answers.stop(client)) return false;
    this.#client = undefined;
    if (this.state.next !== undefined) this.#set(this.state.next);
    await client.close();
    return true;
  }

  /** Beside the model that answers, or alone. */
  #show(model: LoadingModel | FailedModel, tell = this.#options.changed): void {
    this.state = this.state.kind === 'ready' ? { ...this.state, next: model } : model;
    tell();
  }

  #set(state: ModelState): void {
    this.state = state;
    this.#options.changed();
  }

  #giveUp(): void {
    this.#load?.abort();
    this.#load = undefined;
  }
}

/** Whether a model that stops answering would help: not where this one is larger than all that may be taken. */
function isForWantOfMemory(error: unknown): boolean {
  if (!(error instanceof TabserveError)) return false;
  return error.code === 'model_busy' || (error.code === 'out_of_memory' && error.details?.budgetBytes === undefined);
}
