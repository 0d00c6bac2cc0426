import { expect, test } from 'vitest';
import { ChatHistory } from '../../../demo/src/chat-history.ts';
import type { Turn } from '../../../demo/src/conversation.ts';
import type { ConversationStore } from '../../../demo/src/conversation-store.ts';
import { memoryConversations, memoryStorage } from '../../support/fake-chat.ts';

const question = (content: string): Turn => ({ role: 'user', id: content, content });

function origin(stored = new Map<string, unknown>()) {
  let time = 0;
  const openTab = (session = memoryStorage(), store: ConversationStore = memoryConversations(stored)): ChatHistory =>
    new ChatHistory({ store, session, clock: () => ++time, changed: () => {} });
  return { openTab, stored };
}

async function say(tab: ChatHistory, ...contents: string[]): Promise<void> {
  tab.turns = [...tab.turns, ...contents.map(question)];
  await tab.save();
}

const texts = (stored: ReadonlyMap<string, unknown>): string[] =>
  [...stored.values()].map((each) => (each as { turns: Turn[] }).turns.map(({ content }) => content).join(' ')).toSorted();

test('a reload brings back what the tab had open; a new tab begins anew and can open it', async () => {
  const { openTab } = origin();
  const session = memoryStorage();
  const one = openTab(session);
  await say(one, 'a', 'b');
  const again = openTab(session);
  await again.restore();
  expect([again.id, again.turns]).toEqual([one.id, one.turns]);
  const other = openTab();
  await other.restore();
  expect(other.turns).toEqual([]);
  expect(await other.open(one.id)).toBe(true);
  expect(other.turns).toEqual(one.turns);
  expect(await other.open('gone')).toBe(false);
});

test('two tabs with the same conversation: the first to write has it, the other goes on in a copy', async () => {
  const { openTab, stored } = origin();
  const session = memoryStorage();
  const one = openTab(session);
  await say(one, 'a');
  const two = openTab(session); // a duplicated tab has the same session storage
  await two.restore();
  await say(two, 'of two');
  await say(one, 'of one');
  expect(texts(stored)).toEqual(['a of one', 'a of two']);
  expect(one.id).not.toBe(two.id);
  await say(one, 'more');
  await say(two, 'more');
  expect(texts(stored)).toEqual(['a of one more', 'a of two more']);
});

test('what is said while something is being written is written behind it, in order, once', async () => {
  const writes: string[] = [];
  const store = memoryConversations();
  const { openTab } = origin();
  const tab = openTab(memoryStorage(), {
    ...store,
    write: (conversation, expected) => {
      writes.push(conversation.turns.map(({ content }) => content).join(' '));
      return store.write(conversation, expected);
    },
  });
  await Promise.all([say(tab, 'a'), say(tab, 'b'), say(tab, 'c')]);
  expect(writes).toEqual(['a', 'a b c']);
});

test('what is left behind is saved, also when another is begun at once', async () => {
  const { openTab, stored } = origin();
  const tab = openTab();
  const saving = say(tab, 'a');
  tab.startNew();
  await Promise.all([saving, say(tab, 'b')]);
  expect(texts(stored)).toEqual(['a', 'b']);
  await tab.refresh();
  expect(tab.summaries.map(({ title }) => title)).toEqual(['b', 'a']);
});

test('a conversation that is deleted is gone; the open one leaves an empty page', async () => {
  const { openTab, stored } = origin();
  const tab = openTab();
  await say(tab, 'a');
  const first = tab.id;
  tab.startNew();
  await say(tab, 'b');
  await tab.remove(first);
  expect([texts(stored), tab.turns.length]).toEqual([['b'], 1]);
  await tab.remove(tab.id);
  expect([texts(stored), tab.turns.length, tab.summaries.length]).toEqual([[], 0, 0]);
});

test('turns of an earlier release, in the tab’s own storage, are taken over once', async () => {
  const { openTab, stored } = origin();
  const session = memoryStorage();
  const old = [question('a'), { role: 'assistant', id: '2', content: 'Half', state: { kind: 'streaming' } }];
  session.setItem('tabserve.conversation', JSON.stringify(old));
  const tab = openTab(session);
  await tab.restore();
  expect(tab.turns).toMatchObject([{ content: 'a' }, { content: 'Half', state: { kind: 'stopped' } }]);
  expect([texts(stored), session.getItem('tabserve.conversation')]).toEqual([['a Half'], null]);
});

const BROKEN: readonly unknown[] = [
  null, 7, 'text', [], {}, { id: 'x', turns: 'none', updatedAt: 1, version: 1 }, { id: 'x', turns: [null], updatedAt: 1, version: 1 },
  { id: 'x', turns: [{ role: 'system', id: '1', content: 'no' }], updatedAt: 1, version: 1 },
  { id: 'x', turns: [{ role: 'assistant', id: '1', content: 'a', state: { kind: 'odd' } }], updatedAt: 1, version: 1 },
  { id: 'x', turns: [{ role: 'assistant', id: '1', content: 'a', state: { kind: 'failed', problem: { code: 'odd' } } }], updatedAt: 1, version: 1 },
];

test.each(BROKEN)('a stored value that is none is ignored, and written over: %j', async (value) => {
  const { openTab, stored } = origin(new Map([['x', value]]));
  const session = memoryStorage();
  session.setItem('tabserve.conversation.id', 'x');
  session.setItem('tabserve.conversation', JSON.stringify(value));
  const tab = openTab(session);
  await tab.restore();
  expect([tab.turns, tab.summaries, tab.trouble]).toEqual([[], [], undefined]);
  tab.id = 'x';
  await say(tab, 'a');
  expect(stored.get('x')).toMatchObject({ turns: [{ content: 'a' }], version: 1 });
});

test('a browser that refuses storage loses nothing of what is open, and says so', async () => {
  const refuse = (): Promise<never> => Promise.reject(new Error('the disk is full'));
  const { openTab } = origin();
  const tab = openTab(memoryStorage(), { read: refuse, write: refuse, list: refuse, remove: refuse });
  await tab.restore();
  await say(tab, 'a');
  expect(tab.turns).toHaveLength(1);
  expect(tab.trouble).toContain('the disk is full');
});
