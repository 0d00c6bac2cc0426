import { parseTurns, type Turn } from './conversation.ts';
import type { Conversation, ConversationStore, ConversationSummary } from './conversation-store.ts';
import type { PageStorage } from './page-storage.ts';

/** Which conversation this tab has open, through a reload. */
const ID_KEY = 'tabserve.conversation.id';
/** Where earlier releases kept the turns themselves. */
const OLD_KEY = 'tabserve.conversation';

export interface HistoryOptions {
  readonly store: ConversationStore;
  /** This tab's own. */
  readonly session: PageStorage;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Called when something has changed that the page shows. */
  readonly changed: () => void;
}

/**
 * The conversation that is open, and the others that are kept. Each has an id; a tab remembers which one it has open, so
 * a reload brings it back, and a new tab begins a new one. Where two tabs have the same one open, the first to write has
 * it; the other goes on in a copy, and neither loses a word.
 */
export class ChatHistory {
  turns: readonly Turn[] = [];
  id: string = crypto.randomUUID();
  /** The newest first; read by {@link refresh}. */
  summaries: readonly ConversationSummary[] = [];
  /** Why conversations are not kept, where they are not. */
  trouble: string | undefined;
  readonly #options: HistoryOptions;
  /** Of each conversation, the version read or written last. */
  readonly #versions = new Map<string, number>();
  /** Turns to be written, by conversation. */
  readonly #pending = new Map<string, readonly Turn[]>();
  #saving: Promise<void> | undefined;

  constructor(options: HistoryOptions) {
    this.#options = options;
  }

  /** Brings back what this tab had open, unless something has been said by then. */
  async restore(): Promise<void> {
    const { session, store } = this.#options;
    const old = oldTurns(session.getItem(OLD_KEY));
    if (old !== undefined && old.length > 0) {
      this.turns = old;
      this.#options.changed();
      await this.save();
      if (this.trouble === undefined) session.removeItem(OLD_KEY);
      return this.refresh();
    }
    session.removeItem(OLD_KEY);
    const id = session.getItem(ID_KEY);
    const stored = id === null ? undefined : await this.#attempt(() => store.read(id));
    if (stored !== undefined && this.turns.length === 0) this.#show(stored);
    await this.refresh();
  }

  /** Reads the list of conversations anew. */
  async refresh(): Promise<void> {
    this.summaries = (await this.#attempt(() => this.#options.store.list())) ?? this.summaries;
    this.#options.changed();
  }

  startNew(): void {
    this.branch([]);
  }

  /** Goes on with other turns under an id of their own; those of before stay as they were saved. */
  branch(turns: readonly Turn[]): void {
    this.turns = turns;
    this.id = crypto.randomUUID();
    this.#options.session.removeItem(ID_KEY);
    this.#options.changed();
  }

  /** Opens another conversation. False where it is gone. */
  async open(id: string): Promise<boolean> {
    await this.#saving;
    const stored = await this.#attempt(() => this.#options.store.read(id));
    if (stored === undefined) await this.refresh();
    else this.#show(stored);
    return stored !== undefined;
  }

  /** Deletes a conversation; the open one leaves an empty page. */
  async remove(id: string): Promise<void> {
    this.#pending.delete(id);
    await this.#saving;
    await this.#attempt(() => this.#options.store.remove(id));
    if (id === this.id) this.startNew();
    await this.refresh();
  }

  /** Writes what is there, at once or behind what is being written; resolves when it is. */
  async save(): Promise<void> {
    if (this.turns.length > 0) this.#pending.set(this.id, this.turns);
    this.#saving ??= this.#write().finally(() => { this.#saving = undefined; });
    await this.#saving;
  }

  async #write(): Promise<void> {
    for (const [id, turns] of this.#pending) {
      this.#pending.delete(id);
      const conversation = { id, turns, updatedAt: this.#options.clock() };
      const version = await this.#attempt(() => this.#options.store.write(conversation, this.#versions.get(id) ?? 0));
      if (version !== undefined) this.#versions.set(id, version);
      else if (this.trouble === undefined) this.#copy(id, turns);
      if (id === this.id) this.#options.session.setItem(ID_KEY, id);
    }
  }

  /** Another tab has written: what is here goes on under an id of its own. */
  #copy(id: string, turns: readonly Turn[]): void {
    const copy = crypto.randomUUID();
    this.#pending.set(copy, this.#pending.get(id) ?? turns);
    this.#pending.delete(id);
    if (this.id === id) this.id = copy;
  }

  #show({ id, turns, version }: Conversation): void {
    this.id = id;
    this.turns = turns;
    this.#versions.set(id, version);
    this.#options.session.setItem(ID_KEY, id);
    this.#options.changed();
  }

  async #attempt<Result>(use: () => Promise<Result>): Promise<Result | undefined> {
    try {
      const result = await use();
      this.trouble = undefined;
      return result;
    } catch (error) {
      this.trouble = `This browser does not keep conversations: ${error instanceof Error ? error.message : String(error)}`;
      this.#options.changed();
      return undefined;
    }
  }
}

function oldTurns(stored: string | null): readonly Turn[] | undefined {
  try {
    return parseTurns(JSON.parse(stored ?? 'null'));
  } catch {
    return undefined;
  }
}
