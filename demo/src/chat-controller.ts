import type { ReactiveController, ReactiveControllerHost } from 'lit';
import type { Fault, LoadProgress, ModelInfo } from '../../src/index.ts';
import type { ChatClient, CreateClient } from './contract.ts';
import {
  isRunning, restoreConversation, saveConversation, toMessages, type AnswerStats, type AnswerTurn, type Turn,
} from './conversation.ts';
import type { DefaultModel } from './default-model.ts';
import { EngineRoom, type EngineReading } from './engine-room.ts';
import { addressChoice, type ModelChoice } from './model-choice.ts';
import { badAddress, toProblem, type Problem } from './problems.ts';
import { Profiling } from './profiling.ts';
import { restoreSettings, saveSettings, type Settings } from './settings.ts';

export type ModelState =
  | { readonly kind: 'starting' }
  | { readonly kind: 'unsupported'; readonly problem: Problem }
  | { readonly kind: 'none' }
  | { readonly kind: 'loading'; readonly choice: ModelChoice; readonly progress: LoadProgress | undefined }
  | { readonly kind: 'failed'; readonly choice: ModelChoice | undefined; readonly problem: Problem }
  | { readonly kind: 'ready'; readonly choice: ModelChoice; readonly info: ModelInfo };

/** What the controller needs of the world around it. */
export interface ChatEnvironment {
  readonly createClient: CreateClient;
  readonly findDefaultModel: () => Promise<DefaultModel>;
  /** Why models cannot run here at all, found without asking the engine. */
  readonly findObstacle: () => Problem | undefined;
  readonly storage: Pick<Storage, 'getItem' | 'setItem'>;
  readonly now: () => number;
  /** Runs something at the next animation frame: however fast tokens come, the page renders once a frame. */
  readonly nextFrame: (callback: () => void) => void;
}

/** Everything the page knows, and the only part of it that talks to tabserve. Elements show it and send it events. */
export class ChatController implements ReactiveController {
  model: ModelState = { kind: 'starting' };
  turns: readonly Turn[] = [];
  settings: Settings;
  readonly engine = new EngineRoom();
  readonly profiling: Profiling;
  /** `undefined` until the server has answered. */
  defaultModel: DefaultModel | undefined;

  readonly #host: ReactiveControllerHost;
  readonly #env: ChatEnvironment;
  #client: ChatClient | undefined;
  #load: AbortController | undefined;
  #answer: AbortController | undefined;
  #frameRequested = false;

  constructor(host: ReactiveControllerHost, environment: ChatEnvironment) {
    this.#host = host;
    this.#env = environment;
    this.turns = restoreConversation(environment.storage);
    this.settings = restoreSettings(environment.storage);
    this.profiling = new Profiling(() => host.requestUpdate());
    host.addController(this);
  }

  hostDisconnected(): void {
    this.#answer?.abort();
    this.#load?.abort();
    void this.#client?.close();
  }

  get generating(): boolean {
    return isRunning(this.turns.at(-1));
  }

  /** Of the latest answer, also while it streams. */
  get latestStats(): AnswerStats | undefined {
    return this.turns.findLast((turn): turn is AnswerTurn => turn.role === 'assistant' && turn.stats !== undefined)?.stats;
  }

  /** Loads the model that `address` names, else the server's default one; else leaves the choice to the user. */
  async start(address: string | null): Promise<void> {
    const obstacle = this.#env.findObstacle();
    if (obstacle !== undefined) return this.#setModel({ kind: 'unsupported', problem: obstacle });
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
    if (this.model.kind !== 'starting') return;
    if (found.available) await this.load(found.choice);
    else this.#setModel({ kind: 'none' });
  }

  /** Loads a model in place of the one that is loaded or loading. Never rejects: the outcome is `model`. */
  async load(choice: ModelChoice): Promise<void> {
    this.#load?.abort();
    const load = new AbortController();
    this.#load = load;
    this.#answer?.abort();
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
      this.#setModel({ kind: 'ready', choice, info: client.model });
    } catch (error) {
      if (this.#load === load) this.#failModel(choice, toProblem(error, hasArrived));
    }
  }

  cancelLoad(): void {
    this.#load?.abort();
    this.#load = undefined;
    this.#setModel({ kind: 'none' });
  }

  /** Asks; the answer streams into `turns`. Nothing happens while another answer runs or no model is ready. */
  async send(text: string): Promise<void> {
    if (text.trim() === '' || this.generating || this.model.kind !== 'ready') return;
    this.turns = [...this.turns, { role: 'user', id: crypto.randomUUID(), content: text }];
    await this.#generate();
  }

  /** Asks the last question again, in place of its answer. */
  async regenerate(): Promise<void> {
    if (this.generating || this.model.kind !== 'ready' || this.turns.at(-1)?.role !== 'assistant') return;
    this.turns = this.turns.slice(0, -1);
    await this.#generate();
  }

  stop(): void {
    this.#answer?.abort();
  }

  newChat(): void {
    this.#answer?.abort();
    this.turns = [];
    this.#changed();
  }

  changeSettings(change: Partial<Settings>): void {
    this.settings = { ...this.settings, ...change };
    saveSettings(this.#env.storage, this.settings);
    this.#host.requestUpdate();
  }

  /** For the poller. */
  readEngine(): Promise<EngineReading> | undefined {
    const client = this.#client;
    if (client === undefined) return undefined;
    return Promise.all([client.metrics(), client.inspect()]).then(([metrics, snapshot]) => ({ metrics, snapshot }));
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

  async #generate(): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    const abort = new AbortController();
    this.#answer = abort;
    const messages = toMessages(this.turns, this.settings.systemPrompt);
    const turn: AnswerTurn = { role: 'assistant', id: crypto.randomUUID(), content: '', state: { kind: 'waiting' } };
    this.turns = [...this.turns, turn];
    this.#changed();
    const state = await this.#stream(client, messages, turn.id, abort.signal);
    this.#update(turn.id, (answer) => ({ ...answer, state }));
    this.#changed();
  }

  /** Streams one answer into its turn; the state that it ended in. What has arrived stays, whatever happens. */
  async #stream(
    client: ChatClient, messages: ReturnType<typeof toMessages>, id: string, signal: AbortSignal,
  ): Promise<AnswerTurn['state']> {
    let tokens = 0;
    let reason: string | null = null;
    try {
      const { temperature, maxTokens } = this.settings;
      const stream = await client.chat.completions.create(
        { messages, stream: true, temperature, max_tokens: maxTokens }, { signal });
      for await (const { choices } of stream) {
        const choice = choices[0];
        if (signal.aborted) break;
        reason = choice?.finish_reason ?? reason;
        const text = choice?.delta.content ?? '';
        if (text === '') continue;
        const stats = { ...stream.timings, tokens: ++tokens };
        this.#update(id, (answer) => ({ ...answer, content: answer.content + text, state: { kind: 'streaming' }, stats }));
        this.#renderSoon();
      }
      const stats = { ...stream.timings, tokens: stream.usage?.completion_tokens ?? tokens };
      this.#update(id, (answer) => ({ ...answer, stats }));
    } catch (error) {
      const problem = toProblem(error);
      if (!signal.aborted) this.#loseModel(problem);
      if (!signal.aborted) return { kind: 'failed', problem };
    }
    if (signal.aborted) return { kind: 'stopped' };
    return { kind: reason === 'length' ? 'length' : 'done' };
  }

  /** An error that ends the engine, not only the answer, also ends `ready`. */
  #loseModel(problem: Problem): void {
    const fatal = problem.code === 'device_lost' || problem.code === 'closed' || problem.code === 'out_of_memory';
    if (!fatal || this.model.kind !== 'ready') return;
    this.engine.recovery = undefined;
    this.#setModel({ kind: 'failed', choice: this.model.choice, problem });
  }

  #failModel(choice: ModelChoice, problem: Problem): void {
    if (problem.code === 'webgpu_unavailable') this.#setModel({ kind: 'unsupported', problem });
    else this.#setModel({ kind: 'failed', choice, problem });
  }

  #setModel(model: ModelState): void {
    this.model = model;
    this.#host.requestUpdate();
  }

  /** A turn that is gone (a new chat was begun) stays gone. */
  #update(id: string, change: (answer: AnswerTurn) => AnswerTurn): void {
    this.turns = this.turns.map((turn) => (turn.role === 'assistant' && turn.id === id ? change(turn) : turn));
  }

  #changed(): void {
    saveConversation(this.#env.storage, this.turns);
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
