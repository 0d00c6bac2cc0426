import { AnswerPace } from './answer-pace.ts';
import type { ChatEnvironment } from './chat-environment.ts';
import { ChatHistory } from './chat-history.ts';
import type { ChatClient } from './contract.ts';
import { isRunning, toMessages, type AnswerModel, type AnswerStats, type AnswerTurn, type Turn } from './conversation.ts';
import type { Problem } from './problems.ts';
import { samplingOf, type Settings } from './settings.ts';
import { streamAnswer } from './stream-answer.ts';

/** An answer that runs is saved so often, in milliseconds: what a crash of the browser may lose of it. */
const SAVE_MS = 2000;

/** Whom to ask. */
export interface Answerer {
  readonly client: ChatClient;
  readonly model: AnswerModel;
}

/** What an answer cost. */
export interface AnswerFigures {
  readonly stats: AnswerStats;
  /** Of one that was made since the page was opened. */
  readonly pace: AnswerPace | undefined;
}

export interface DialogueOptions {
  readonly environment: Pick<ChatEnvironment, 'conversations' | 'session' | 'now' | 'clock'>;
  /** Something else is to be shown. */
  readonly changed: () => void;
  /** The answer has grown, which it does with every token. */
  readonly grown: () => void;
  /** `undefined` while there is none to ask. */
  readonly answerer: () => Answerer | undefined;
  readonly settings: () => Settings;
  /** A question is asked. */
  readonly asked: () => void;
  /** A client's answer has failed. */
  readonly failed: (problem: Problem, client: ChatClient) => void;
}

/** Questions and answers: what is asked, asked again and changed, and what comes of it. */
export class Dialogue {
  readonly history: ChatHistory;
  /** Of the latest answer that was asked for. */
  #pace: { readonly turn: string; readonly pace: AnswerPace } | undefined;
  readonly #options: DialogueOptions;
  /** The answer that runs. */
  #running: { readonly client: ChatClient; readonly abort: AbortController; readonly done: Promise<void> } | undefined;
  #savedAt = 0;

  constructor(options: DialogueOptions) {
    const { environment: { conversations: store, session, clock }, changed } = options;
    this.#options = options;
    this.history = new ChatHistory({ store, session, clock, changed });
  }

  get turns(): readonly Turn[] {
    return this.history.turns;
  }

  get generating(): boolean {
    return isRunning(this.turns.at(-1));
  }

  /** Of the latest answer, also while it streams, where it is that model's: figures say nothing of another one. */
  figuresOf(modelId: string | undefined): AnswerFigures | undefined {
    const latest = this.turns.findLast((turn): turn is AnswerTurn => turn.role === 'assistant' && turn.stats !== undefined);
    if (latest?.stats === undefined || latest.model === undefined || latest.model.id !== modelId) return undefined;
    return { stats: latest.stats, pace: this.#pace?.turn === latest.id ? this.#pace.pace : undefined };
  }

  /** Asks; the answer streams into `turns`. Nothing happens while another answer runs or no model is ready. */
  async send(text: string): Promise<void> {
    if (text.trim() === '' || !this.#canAsk) return;
    this.history.turns = [...this.turns, { role: 'user', id: crypto.randomUUID(), content: text }];
    await this.#generate();
  }

  /**
   * Asks again the question that an answer is to, in place of that answer: the last one, unless told. Where more was said
   * after it, the chat as it was stays in the list.
   */
  async regenerate(id: string | undefined = this.turns.at(-1)?.id): Promise<void> {
    const index = this.turns.findIndex((turn) => turn.id === id && turn.role === 'assistant');
    if (index < 1 || !this.#canAsk) return;
    if (index === this.turns.length - 1) this.history.turns = this.turns.slice(0, index);
    else this.history.branch(this.turns.slice(0, index));
    await this.#generate();
  }

  /** Asks another question in the place of one, and goes on from there; the chat as it was stays in the list. */
  async edit(id: string, text: string): Promise<void> {
    const index = this.turns.findIndex((turn) => turn.id === id && turn.role === 'user');
    if (index < 0 || text.trim() === '' || !this.#canAsk) return;
    this.history.branch(this.turns.slice(0, index));
    await this.send(text);
  }

  /** Stops the answer that runs; where a client is given, only if it is that one's. False where there was none. */
  stop(client?: ChatClient): boolean {
    const running = this.#running;
    if (running === undefined || (client !== undefined && running.client !== client)) return false;
    running.abort.abort();
    return true;
  }

  /** Resolves when a client answers nothing. */
  async settled(client: ChatClient): Promise<void> {
    if (this.#running?.client === client) await this.#running.done;
  }

  newChat(): void {
    this.#leave();
    this.history.startNew();
  }

  /** Opens a conversation of before. */
  async openChat(id: string): Promise<void> {
    this.#leave();
    await this.history.open(id);
  }

  async removeChat(id: string): Promise<void> {
    if (id === this.history.id) this.stop();
    await this.history.remove(id);
  }

  get #canAsk(): boolean {
    return !this.generating && this.#options.answerer() !== undefined;
  }

  /** Ends an answer that runs, and keeps what it has said, before another conversation takes its place. */
  #leave(): void {
    this.stop();
    const last = this.turns.at(-1);
    if (last?.role !== 'assistant' || !isRunning(last)) return;
    this.#update(last.id, (answer) => ({ ...answer, state: { kind: 'stopped' } }));
    this.#save();
  }

  async #generate(): Promise<void> {
    const answerer = this.#options.answerer();
    if (answerer === undefined) return;
    this.#options.asked();
    const abort = new AbortController();
    const done = this.#answer(answerer, abort.signal);
    const running = { client: answerer.client, abort, done };
    this.#running = running;
    await done;
    if (this.#running === running) this.#running = undefined;
  }

  async #answer({ client, model }: Answerer, signal: AbortSignal): Promise<void> {
    const settings = this.#options.settings();
    const messages = toMessages(this.turns, settings.systemPrompt);
    const request = { ...samplingOf(settings), messages, stream: true } as const;
    const turn: AnswerTurn = { role: 'assistant', id: crypto.randomUUID(), content: '', state: { kind: 'waiting' }, model };
    this.history.turns = [...this.turns, turn];
    const pace = new AnswerPace();
    this.#pace = { turn: turn.id, pace };
    this.#changed();
    const isGone = (): boolean => this.turns.every(({ id }) => id !== turn.id);
    const state = await streamAnswer(client, request, signal, ({ text, stats }) => {
      if (isGone()) return;
      const now = this.#options.environment.now();
      if (text !== '') pace.add(now);
      this.#update(turn.id, (answer) => ({
        ...answer, content: answer.content + text, stats, state: text === '' ? answer.state : { kind: 'streaming' },
      }));
      if (now - this.#savedAt > SAVE_MS) this.#save();
      this.#options.grown();
    });
    if (state.kind === 'failed') this.#options.failed(state.problem, client);
    if (isGone()) return;
    this.#update(turn.id, (answer) => ({ ...answer, state }));
    this.#changed();
  }

  #update(id: string, change: (answer: AnswerTurn) => AnswerTurn): void {
    this.history.turns = this.turns.map((turn) => (turn.role === 'assistant' && turn.id === id ? change(turn) : turn));
  }

  #changed(): void {
    this.#save();
    this.#options.changed();
  }

  #save(): void {
    this.#savedAt = this.#options.environment.now();
    void this.history.save();
  }
}
