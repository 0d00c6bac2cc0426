import { describe, expect, test } from 'vitest';
import { AnswerPace, describeSamples } from '../../../demo/src/answer-pace.ts';
import type { Turn } from '../../../demo/src/conversation.ts';
import { exportChat } from '../../../demo/src/export-chat.ts';
import { formatAgo } from '../../../demo/src/format.ts';
import { DeletedModels } from '../../../demo/src/deleted-models.ts';
import { ModelCache, type CacheAccess } from '../../../demo/src/model-cache.ts';
import { pageStorage } from '../../../demo/src/page-storage.ts';
import { restoreSettings, saveSettings, settingsOf } from '../../../demo/src/settings.ts';
import { SettingsState } from '../../../demo/src/settings-state.ts';
import { SpokenAnswer, toSpeech } from '../../../demo/src/spoken-answer.ts';
import { memoryCache, memoryStorage } from '../../support/fake-chat.ts';

describe('settings', () => {
  const stored = (value: unknown, key = 'tabserve.settings.changed') => {
    const storage = memoryStorage();
    storage.setItem(key, typeof value === 'string' ? value : JSON.stringify(value));
    return restoreSettings(storage);
  };

  test('what is broken or foreign is not set; what is out of range is the nearest that is not', () => {
    for (const value of ['{', 'null', '[1]', '"x"', { temperature: 'hot', topK: null, stop: [1], systemPrompt: 7, seed: 'x' }]) {
      expect(stored(value)).toEqual({});
    }
    expect(stored({ temperature: 9, topP: 0, topK: 2.6, maxTokens: 1e9, stop: ['a', 'b', 'c', 'd', 'e'] })).toEqual({
      temperature: 2, topP: 0.01, topK: 3, maxTokens: 8192, stop: ['a', 'b', 'c', 'd'],
    });
  });

  test('two tabs that change different settings lose neither', () => {
    const storage = memoryStorage();
    saveSettings(storage, { temperature: 1 });
    saveSettings(storage, { topK: 5 });
    expect(restoreSettings(storage)).toMatchObject({ temperature: 1, topK: 5 });
  });

  test('of what an earlier release kept, only what had been changed is set', () => {
    const all = {
      temperature: 0, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1, presencePenalty: 0, frequencyPenalty: 0, seed: null,
      maxTokens: 1024, stop: [], systemPrompt: '',
    };
    expect(stored({ ...all, maxTokens: 64, stop: ['END'] }, 'tabserve.settings')).toEqual({ maxTokens: 64, stop: ['END'] });
  });

  test('are the model’s recommendation, over it what has been set, over that what the address sets', () => {
    const storage = memoryStorage();
    const settings = new SettingsState(storage);
    expect(settings.values).toMatchObject({ temperature: 0.7, topP: 0.95, seed: null });
    settings.recommend({ by: 'file', sampling: { temperature: 0.6, top_k: 20 } });
    expect(settings.values).toMatchObject({ temperature: 0.6, topP: 1, topK: 20, repetitionPenalty: 1 });
    expect(settings.isChanged).toBe(false);
    settings.change({ temperature: 1.5 });
    settings.setByAddress(settingsOf(new URLSearchParams('?temperature=0')));
    expect(settings.values).toMatchObject({ temperature: 0, topK: 20 });
    expect(new SettingsState(storage).values.temperature).toBe(1.5); // the address is for this visit
    settings.change({ temperature: 0.3 });
    expect(settings.values.temperature).toBe(0.3);
    settings.reset();
    expect([settings.values.temperature, settings.isChanged]).toEqual([0.6, false]);
    expect(new SettingsState(storage).isChanged).toBe(false);
  });

  test.each([['', {}], ['?temperature=', {}], ['?temperature=hot', {}], ['?temperature=0', { temperature: 0 }], ['?temperature=9', { temperature: 2 }]])(
    'the address “%s” sets %o', (address, expected) => expect(settingsOf(new URLSearchParams(address))).toEqual(expected));
});

test('where the browser refuses storage there is memory', () => {
  const storage = pageStorage(() => { throw new Error('SecurityError'); });
  storage.setItem('a', '1');
  expect(storage.getItem('a')).toBe('1');
  storage.removeItem('a');
  expect(storage.getItem('a')).toBeNull();
});

describe('a screen reader hears', () => {
  test('whole sentences, every word once, and no marks', () => {
    const text = `# Title\n\n${'The **sea** is deep, and `it` hums all night long. '.repeat(8)}\n\n- one\n- [two](https://a.test)\n\nNo end`;
    const answer = new SpokenAnswer();
    const said: string[] = [];
    for (let end = 1; end < text.length; end++) said.push(answer.next(text.slice(0, end), false));
    said.push(answer.next(text, true));
    const heard = said.filter((part) => part !== '');
    expect(heard.length).toBeGreaterThan(2);
    expect(heard.length).toBeLessThan(6);
    expect(heard.join(' ')).toBe(toSpeech(text));
    for (const part of heard.slice(0, -1)) expect(part).toMatch(/([.!?]|two)$/);
    expect(toSpeech(text)).not.toMatch(/[*`#[\]]|https/);
    expect(answer.next(text, true)).toBe('');
  });

  test('code and tables without their fences and lines', () => {
    expect(toSpeech('```js\nlet a;\n```\n| a | b |\n|---|---|\n| 1 | 2 |')).toBe('let a; a b 1 2');
  });
});

describe('the pace of an answer', () => {
  test('is the time between tokens and their number a second, however many come at once', () => {
    const pace = new AnswerPace();
    for (let step = 0; step < 20; step++) for (let token = 0; token < 4; token++) pace.add(step * 100);
    expect(pace.latencies.slice(1)).toEqual(Array(18).fill(25));
    expect(pace.rates.at(-1)).toBeCloseTo(40);
    for (let step = 0; step < 100; step++) pace.add(3000 + step * 10);
    expect([pace.latencies.length, pace.rates.length, pace.latencies.at(-1)]).toEqual([60, 60, 10]);
  });

  test('is told in words', () => {
    expect(describeSamples([80, 131, 70, 84], 'ms', String)).toBe('latest 84, median 84, from 70 to 131 ms');
    expect(describeSamples([], 'ms', String)).toBe('nothing yet');
  });
});

const cacheOver = (access: CacheAccess, changed = (): void => {}, storage = memoryStorage()) =>
  new ModelCache({ access, deleted: new DeletedModels(storage), baseUrl: 'https://page.test/', changed });

describe('the models on this device', () => {
  const MODEL = { url: 'https://a.test/m.gguf', name: 'https://a.test/m.gguf', size: 100, bytesCached: 43, lastUsed: 1 };

  test('are listed with what is free, deleted, and kept on request', async () => {
    let changes = 0;
    const cache = cacheOver(memoryCache([MODEL, { ...MODEL, url: 'b', bytesCached: 7 }]), () => changes++);
    await cache.refresh();
    expect([cache.models?.length, cache.bytesCached, cache.bytesFree, cache.isPersistent]).toEqual([2, 50, 4e9, false]);
    await cache.remove(MODEL.url);
    expect(cache.models?.map(({ url }) => url)).toEqual(['b']);
    await cache.askToPersist();
    expect([cache.isPersistent, changes > 2]).toEqual([true, true]);
  });

  test('a storage that refuses says so, and what is known stays', async () => {
    const cache = cacheOver({ ...memoryCache([MODEL]), remove: () => Promise.reject(new Error('it is in use')) });
    await cache.remove(MODEL.url);
    expect([cache.trouble, cache.models?.length]).toEqual(['it is in use', 1]);
    const silent = cacheOver({ ...memoryCache(), estimate: async () => ({}) });
    await silent.refresh();
    expect([silent.bytesFree, silent.models]).toEqual([undefined, []]);
  });
});

describe('a model that was deleted', () => {
  const stored = (url: string, name = url) => ({ url, name, size: 100, bytesCached: 100, lastUsed: 1 });
  const choice = (source: string) => ({ source, label: 'one', babble: false });

  test.each([
    ['a path', '/models/a b.gguf', stored('https://page.test/models/a%20b.gguf')],
    ['a URL', 'https://a.test/m.gguf#x', stored('https://a.test/m.gguf')],
    ['a hub’s name', 'hf:o/r/dir/m.gguf', stored('https://huggingface.co/o/r/resolve/0123/dir/m.gguf', 'https://huggingface.co/o/r/resolve/main/dir/m.gguf')],
    ['a hub’s file at a commit', 'hf:o/r/m.gguf@0123', stored('https://huggingface.co/o/r/resolve/0123/m.gguf')],
    ['a file’s page', 'https://huggingface.co/o/r/blob/main/m.gguf', stored('https://huggingface.co/o/r/resolve/main/m.gguf')],
  ])('is remembered: %s', async (_what, source, model) => {
    const storage = memoryStorage();
    const models = [model, stored('https://b.test/other.gguf')];
    const cache = cacheOver(memoryCache(models), undefined, storage);
    await cache.refresh();
    expect(await cache.wasDeleted(choice(source))).toBe(false);
    await cache.remove(model.url);
    const later = cacheOver(memoryCache(models), undefined, storage);
    expect(await later.wasDeleted(choice(source))).toBe(true);
    expect(await later.wasDeleted(choice('https://b.test/other.gguf'))).toBe(false);
    later.wanted(choice(source));
    expect(await later.wasDeleted(choice(source))).toBe(false);
  });

  test('is not gone where it is here again, or could not be deleted', async () => {
    const model = stored('https://a.test/m.gguf');
    const cache = cacheOver(memoryCache([model]), undefined);
    await cache.remove('https://a.test/other.gguf');
    expect(await cache.wasDeleted(choice(model.url))).toBe(false);
    const storage = memoryStorage();
    const refusing = cacheOver({ ...memoryCache([model]), remove: () => Promise.reject(new Error('in use')) }, undefined, storage);
    await refusing.remove(model.url);
    expect(await cacheOver(memoryCache(), undefined, storage).wasDeleted(choice(model.url))).toBe(false);
    new DeletedModels(storage).add(model.url);
    expect(await cacheOver(memoryCache([model]), undefined, storage).wasDeleted(choice(model.url))).toBe(false);
    storage.setItem('tabserve.deleted', '{');
    expect(new DeletedModels(storage).has(model.url)).toBe(false);
  });
});

describe('an exported chat', () => {
  const turns: Turn[] = [
    { role: 'user', id: '1', content: 'What is *it*?\n\nSay.' },
    { role: 'assistant', id: '2', content: 'It:\n\n```js\nlet a;', state: { kind: 'length' }, model: { id: 'one', name: 'Model_one' } },
    { role: 'user', id: '3', content: 'More' },
    { role: 'assistant', id: '4', content: 'Done.', state: { kind: 'done' }, model: { id: 'two', name: 'Two' } },
    { role: 'user', id: '5', content: 'Why?' },
    { role: 'assistant', id: '6', content: 'So.', state: { kind: 'done' } },
  ];

  test('is Markdown that shows who said what, which model wrote it, and no code left open', () => {
    const { fileName, text } = exportChat(turns, 'markdown', Date.UTC(2026, 0, 2, 3, 4));
    expect(fileName).toBe('chat-2026-01-02-03-04.md');
    expect(text).toBe('# What is \\*it\\*? Say.\n\n> What is *it*?\n>\n> Say.\n\nIt:\n\n```js\nlet a;\n```\n\n*Model\\_one. Cut at the token limit.*\n\n> More\n\nDone.\n\n*Two.*\n\n> Why?\n\nSo.\n');
  });

  test('is JSON whose messages can be sent again', () => {
    const { messages } = JSON.parse(exportChat(turns, 'json', 0).text) as { messages: { role: string; content: string; model?: string }[] };
    expect(messages).toMatchObject(turns.map(({ role, content }) => ({ role, content })));
    expect(messages.map(({ model }) => model)).toEqual([undefined, 'Model_one', undefined, 'Two', undefined, undefined]);
  });
});

test('how long ago it was, in words', () => {
  const now = Date.UTC(2026, 5, 15);
  expect([10, 90, 7200, 86_400, 5 * 86_400, 400 * 86_400].map((seconds) => formatAgo(now - seconds * 1000, now))).toEqual([
    'just now', '1 minute ago', '2 hours ago', 'yesterday', '5 days ago', expect.stringMatching(/^May 1\d, 2025$/),
  ]);
});
