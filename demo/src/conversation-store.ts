import { createStore, del, entries, get, update } from 'idb-keyval';
import { parseTurns, titleOf, type Turn } from './conversation.ts';
import { isRecord } from './is-record.ts';

/** A conversation as it is kept. */
export interface Conversation {
  readonly id: string;
  readonly turns: readonly Turn[];
  /** Milliseconds since 1970. */
  readonly updatedAt: number;
  /** Counts what has been written. */
  readonly version: number;
}

/** An entry in a list of conversations. */
export interface ConversationSummary {
  readonly id: string;
  readonly title: string;
  readonly updatedAt: number;
}

/** Where conversations are kept. Any call may reject: a browser may refuse storage. */
export interface ConversationStore {
  /** `undefined` also for what is no conversation. */
  read(id: string): Promise<Conversation | undefined>;
  /**
   * Writes, unless somebody else has written since `expected`, in one transaction.
   *
   * @param expected the version read or written last; 0 for a new conversation
   * @returns the version that is stored now; `undefined` where nothing was written
   */
  write(conversation: Omit<Conversation, 'version'>, expected: number): Promise<number | undefined>;
  /** The newest first. */
  list(): Promise<readonly ConversationSummary[]>;
  remove(id: string): Promise<void>;
}

/** In IndexedDB, for all tabs of this origin. */
export function indexedDbConversations(): ConversationStore {
  let opened: ReturnType<typeof createStore> | undefined;
  // Opened at the first call, so that a browser that refuses it fails that call and not the page.
  const store = (): ReturnType<typeof createStore> => (opened ??= createStore('tabserve-demo', 'conversations'));
  return {
    read: async (id) => parseConversation(await get<unknown>(id, store())),
    write: async (conversation, expected) => {
      let written: number | undefined;
      await update<unknown>(conversation.id, (stored) => {
        written = nextVersion(stored, expected);
        return written === undefined ? stored : { ...conversation, version: written };
      }, store());
      return written;
    },
    list: async () => summarise((await entries<IDBValidKey, unknown>(store())).map(([, value]) => value)),
    remove: (id) => del(id, store()),
  };
}

/** The version that may be written over what is stored; `undefined` where somebody else has written. */
export function nextVersion(stored: unknown, expected: number): number | undefined {
  const version = parseConversation(stored)?.version ?? expected; // broken or gone: nothing is lost by writing
  return version === expected ? expected + 1 : undefined;
}

export function summarise(stored: readonly unknown[]): readonly ConversationSummary[] {
  return stored
    .map(parseConversation)
    .filter((conversation) => conversation !== undefined)
    .map(({ id, turns, updatedAt }) => ({ id, title: titleOf(turns), updatedAt }))
    .toSorted((a, b) => b.updatedAt - a.updatedAt);
}

/** A conversation out of a storage that anybody may have written to. */
export function parseConversation(value: unknown): Conversation | undefined {
  if (!isRecord(value)) return undefined;
  const { id, updatedAt, version } = value;
  const turns = parseTurns(value['turns']);
  if (typeof id !== 'string' || typeof updatedAt !== 'number' || typeof version !== 'number' || turns === undefined) return undefined;
  return { id, turns, updatedAt, version };
}
