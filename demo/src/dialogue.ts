import { AnswerPace } from './answer-pace.ts';
import type { ChatEnvironment } from './chat-environment.ts';
import { ChatHistory } from './chat-history.ts';
import { continuationOf, type Sampling } from './continuation.ts';
import type { AnswerStream, ChatClient } from './contract.ts';
import { isContinuable, isRunning, toMessages, type AnswerModel, type AnswerStats, type AnswerTurn, type Turn } from './conversation.ts';
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

/** An answer's timings and token counts. */
export interface AnswerFigures {
  readonly stats: AnswerStats;
  /** Of one that was made since the page was opened. */
  readonly pace: AnswerPace | undefined;
}

/** How an answer is asked for. */
interface Answering {
  readonly client: ChatClient;
  readonly ask: () => Promise<AnswerStream>;
  readonly signal: AbortSignal;
  readonly sampling: Sampling;
  /** Those of the answer that the stream comes behind. */
  readonly tokenIds: readonly number[];
  /** How much of the stream's text the answer has already. */
  readonly skip: number;
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
   * Asks the question of an answer again, in place of that answer; by default of the last one. Where later turns exist,
   * the chat as it was stays in the list.
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

  /** The answer that can go on from where it was ended, if the last one can; by its id. */
  get continuable(): string | undefined {
    const last = this.turns.at(-1);
    const answerer = this.#options.answerer();
    if (last?.role !== 'assistant' || answerer === undefined) return undefined;
    return isContinuable(last, answerer.client.model) ? last.id : undefined;
  }

  /** Goes on with the last answer from where it was ended: its text is what it would have been. */
  async continueAnswer(): Promise<void> {
    const last = this.turns.at(-1);
    if (last?.role !== 'assistant' || last.resume === undefined || last.id !== this.continuable) return;
    const { resume } = last;
    const { request, ...rest } = continuationOf(resume, last.state.kind === 'length');
    await this.#run(async ({ client }, signal) => {
      const content = last.content.slice(0, resume.length);
      const turn: AnswerTurn = { ...last, content, state: { kind: 'streaming' } };
      this.#update(last.id, () => turn);
      await this.#answer(turn, { client, ask: () => client.completions.create(request, { signal }), signal, ...rest });
    });
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
    await this.#run(async ({ client, model }, signal) => {
      const settings = this.#options.settings();
      const sampling = samplingOf(settings);
      const messages = toMessages(this.turns, settings.systemPrompt);
      const turn: AnswerTurn = { role: 'assistant', id: crypto.randomUUID(), content: '', state: { kind: 'waiting' }, model };
      this.history.turns = [...this.turns, turn];
      const ask = (): Promise<AnswerStream> => client.chat.completions.create({ ...sampling, messages, stream: true }, { signal });
      await this.#answer(turn, { client, ask, signal, sampling, tokenIds: [], skip: 0 });
    });
  }

  async #run(task: (answerer: Answerer, signal: AbortSignal) => Promise<void>): Promise<void> {
    const answerer = this.#options.answerer();
    if (answerer === undefined) return;
    this.#options.asked();
    const abort = new AbortController();
    const running = { client: answerer.client, abort, done: task(answerer, abort.signal) };
    this.#running = running;
    await running.done;
    if (this.#running === running) this.#running = undefined;
  }

  /** Streams an answer into its turn, behind what it has. */
  async #answer(turn: AnswerTurn, { client, ask, signal, sampling, tokenIds, skip }: Answering): Promise<void> {
    const { id, resume } = turn;
    const pace = new AnswerPace();
    this.#pace = { turn: id, pace };
    this.#changed();
    const isGone = (): boolean => this.turns.every((each) => each.id !== id);
    let toSkip = skip;
    let isFirst = true;
    const state = await streamAnswer(ask, signal, ({ text, stats, stream }) => {
      if (isGone()) return;
      const now = this.#options.environment.now();
      const isLast = text === '';
      if (!isLast) pace.add(now);
      const fresh = text.slice(toSkip);
      toSkip -= text.length - fresh.length;
      this.#update(id, (answer) => ({
        ...answer, content: answer.content + fresh, stats: { ...stats, tokens: tokenIds.length + stats.tokens },
        state: isLast ? answer.state : { kind: 'streaming' },
      }));
      if (toSkip === 0 && (isLast || isFirst || now - this.#savedAt > SAVE_MS)) {
        const promptTokenIds = resume?.promptTokenIds ?? stream.promptTokenIds();
        const all = [...tokenIds, ...stream.tokenIds()];
        this.#update(id, (answer) => ({ ...answer, resume: { promptTokenIds, tokenIds: all, length: answer.content.length, sampling } }));
        this.#save();
        isFirst = false;
      }
      this.#options.grown();
    });
    if (state.kind === 'failed') this.#options.failed(state.problem, client);
    if (isGone()) return;
    this.#update(id, ({ resume: point, ...answer }) => ({ ...answer, state, ...(state.kind === 'done' || point === undefined ? {} : { resume: point }) }));
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
