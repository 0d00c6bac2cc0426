import { beforeEach, expect, test } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import type { Queued } from '../../../src/core/protocol.ts';
import type { ModelManager } from '../../../src/worker/model-manager.ts';
import { bytes, FakeLoader } from '../../support/fake-model.ts';
import { openManager, Tab } from '../../support/tab.ts';

/** A prompt that takes many turns to encode, and one that takes none. */
const [long, short] = ['x'.repeat(50_000), 'Hi'];
const refusal = (code: string): Error => expect.objectContaining({ code }) as Error;

const ask = (tab: Tab, requestId: string, text = short): Queued | Promise<Queued> => tab.generate(requestId, { prompt: { text } });

let loader: FakeLoader;
let manager: ModelManager;
let now: number;
const settle = () => new Promise((resolve) => setTimeout(resolve));

beforeEach(() => {
  loader = new FakeLoader();
  now = 50;
  manager = openManager({ loadModel: loader.loadModel, clock: () => now });
});

async function ready(...names: string[]): Promise<Tab[]> {
  const tabs = names.map((name) => new Tab(name, manager));
  const loads = tabs.map((tab) => tab.load('m'));
  await settle();
  loader.last.finish();
  await Promise.all(loads);
  return tabs;
}

test('a long prompt lets short ones go before it, and is queued when it is encoded', async () => {
  const [tab] = (await ready('a')) as [Tab];
  loader.last.engine.maxPromptTokens = 50_000;
  const queued = ask(tab, 'long', long);
  expect(ask(tab, 'short')).not.toBeInstanceOf(Promise);
  expect([...loader.last.engine.live.keys()]).toEqual(['short']);
  now = 60;
  expect(await queued).toMatchObject({ promptTokenIds: bytes('x'.repeat(50_000)) });
  expect([...loader.last.engine.live.keys()]).toEqual(['short', 'long']);
  expect(loader.last.engine.live.get('long')).toMatchObject({ arrivalTime: 50 }); // when it came
});

test('a long prompt holds its name until it is refused', async () => {
  const [tab] = (await ready('a')) as [Tab];
  const queued = ask(tab, 'r', long);
  expect(() => tab.generate('r')).toThrow(refusal('invalid_request'));
  await expect(queued).rejects.toThrow(refusal('context_length_exceeded'));
  expect(ask(tab, 'r')).not.toBeInstanceOf(Promise);
});

test('a long prompt ends where its tab takes it back, leaves, or loads another model', async () => {
  const [a, b, c] = (await ready('a', 'b', 'c')) as [Tab, Tab, Tab];
  const { engine } = loader.last;
  engine.maxPromptTokens = 50_000;
  const [ra, rb, rc, kept] = [ask(a, 'ra', long), ask(b, 'rb', long), ask(c, 'rc', long), ask(a, 'kept', long)];
  b.abort('ra'); // not its own
  a.abort('ra');
  b.leave();
  void c.load('other').catch(() => {});
  await expect(ra).rejects.toThrow(refusal('aborted'));
  await expect(rb).rejects.toThrow(refusal('closed'));
  await expect(rc).rejects.toThrow(refusal('aborted'));
  await kept;
  expect([...engine.live.keys()]).toEqual(['kept']);
  expect(ask(a, 'ra')).not.toBeInstanceOf(Promise); // the name is free again
});

test('a long prompt is kept for the next engine where the GPU goes meanwhile', async () => {
  const [tab] = (await ready('a')) as [Tab];
  const first = loader.last;
  const queued = ask(tab, 'r', long);
  first.lose(new TabserveError('device_lost', 'gone'));
  await queued;
  expect(first.engine.live.size).toBe(0);
  await settle();
  loader.last.engine.maxPromptTokens = 50_000;
  loader.last.finish();
  await settle();
  expect([...loader.last.engine.live.keys()]).toEqual(['r']);
});

test('a tab has no more long prompts encoded than it may have requests waiting; a short one goes in', async () => {
  const [a, b] = (await ready('a', 'b')) as [Tab, Tab];
  const queued = Array.from({ length: 128 }, (_, i) => Promise.resolve(ask(a, `r${i}`, long)));
  expect(() => ask(a, 'more', long)).toThrow(refusal('queue_full'));
  expect(ask(a, 'short')).not.toBeInstanceOf(Promise);
  const other = ask(b, 'other', long);
  a.leave();
  for (const { status } of await Promise.allSettled(queued)) expect(status).toBe('rejected');
  await expect(other).rejects.toThrow(refusal('context_length_exceeded'));
});
