import { beforeEach, expect, test } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import type { Queued } from '../../../src/core/protocol.ts';
import { Host } from '../../../src/worker/host.ts';
import { FakeLocks } from '../../support/fake-locks.ts';
import { bytes, FakeLoader } from '../../support/fake-model.ts';

/** A prompt that takes many turns to encode, and one that takes none. */
const [long, short] = ['x'.repeat(50_000), 'Hi'];
const refusal = (code: string): Error => expect.objectContaining({ code }) as Error;

class Tab {
  readonly sessionId: string;
  constructor(sessionId: string) {
    this.sessionId = sessionId;
    host.attach(this);
  }
  send(): void {}
  load(source: string) {
    return host.load(this, { source }, () => {});
  }
  generate(requestId: string, text = short): Queued | Promise<Queued> {
    return host.generate(this, { requestId, prompt: { text }, maxTokens: undefined, temperature: 0, seed: 1, stop: [] });
  }
}

let loader: FakeLoader;
let host: Host;
let now: number;
const settle = () => new Promise((resolve) => setTimeout(resolve));

beforeEach(() => {
  loader = new FakeLoader();
  now = 50;
  host = new Host({ loadModel: loader.loadModel, locks: new FakeLocks().locks, clock: () => now });
});

async function ready(...names: string[]): Promise<Tab[]> {
  const tabs = names.map((name) => new Tab(name));
  const loads = tabs.map((tab) => tab.load('m'));
  await settle();
  loader.last.finish();
  await Promise.all(loads);
  return tabs;
}

test('a long prompt lets short ones go before it, and is queued when it is encoded', async () => {
  const [tab] = (await ready('a')) as [Tab];
  loader.last.engine.maxPromptTokens = 50_000;
  const queued = tab.generate('long', long);
  expect(tab.generate('short')).not.toBeInstanceOf(Promise);
  expect([...loader.last.engine.live.keys()]).toEqual(['short']);
  now = 60;
  expect(await queued).toMatchObject({ promptTokenIds: bytes('x'.repeat(50_000)) });
  expect([...loader.last.engine.live.keys()]).toEqual(['short', 'long']);
  expect(loader.last.engine.live.get('long')).toMatchObject({ arrivalTime: 50 }); // when it came
});

test('a long prompt holds its name until it is refused', async () => {
  const [tab] = (await ready('a')) as [Tab];
  const queued = tab.generate('r', long);
  expect(() => tab.generate('r')).toThrow(refusal('invalid_request'));
  await expect(queued).rejects.toThrow(refusal('context_length_exceeded'));
  expect(tab.generate('r')).not.toBeInstanceOf(Promise);
});

test('a long prompt ends where its tab takes it back, leaves, or loads another model', async () => {
  const [a, b, c] = (await ready('a', 'b', 'c')) as [Tab, Tab, Tab];
  const { engine } = loader.last;
  engine.maxPromptTokens = 50_000;
  const [ra, rb, rc, kept] = [a.generate('ra', long), b.generate('rb', long), c.generate('rc', long), a.generate('kept', long)];
  host.abort(b, 'ra'); // not its own
  host.abort(a, 'ra');
  host.detach(b);
  void c.load('other').catch(() => {});
  await expect(ra).rejects.toThrow(refusal('aborted'));
  await expect(rb).rejects.toThrow(refusal('closed'));
  await expect(rc).rejects.toThrow(refusal('aborted'));
  await kept;
  expect([...engine.live.keys()]).toEqual(['kept']);
  expect(a.generate('ra')).not.toBeInstanceOf(Promise); // the name is free again
});

test('a long prompt is kept for the next engine where the GPU goes meanwhile', async () => {
  const [tab] = (await ready('a')) as [Tab];
  const first = loader.last;
  const queued = tab.generate('r', long);
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
  const queued = Array.from({ length: 128 }, (_, i) => Promise.resolve(a.generate(`r${i}`, long)));
  expect(() => a.generate('more', long)).toThrow(refusal('queue_full'));
  expect(a.generate('short')).not.toBeInstanceOf(Promise);
  const other = b.generate('other', long);
  host.detach(a);
  for (const { status } of await Promise.allSettled(queued)) expect(status).toBe('rejected');
  await expect(other).rejects.toThrow(refusal('context_length_exceeded'));
});
