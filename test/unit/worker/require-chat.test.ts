import { beforeEach, expect, test } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import type { LoadProgress } from '../../../src/core/progress.ts';
import { Host } from '../../../src/worker/host.ts';
import type { ConnectedSession } from '../../../src/worker/host-session.ts';
import { FakeLocks } from '../../support/fake-locks.ts';
import { FakeLoader } from '../../support/fake-model.ts';

// `requireChat`: a session that is refused a model without a chat template as soon as that is known.

class Tab implements ConnectedSession {
  readonly sessionId: string;
  readonly progress: LoadProgress[] = [];
  constructor(sessionId: string) {
    this.sessionId = sessionId;
    host.attach(this);
  }
  send(): void {}
}

let loader: FakeLoader;
let host: Host;
const settle = () => new Promise((resolve) => setTimeout(resolve));

beforeEach(() => {
  loader = new FakeLoader();
  host = new Host({ loadModel: loader.loadModel, locks: new FakeLocks().locks, clock: () => 0 });
});

function load(tab: Tab, source: string, requireChat = false) {
  return host.load(tab, { source, requireChat }, (progress) => tab.progress.push(progress));
}

function generate(tab: Tab, requestId: string): void {
  void host.generate(tab, { requestId, prompt: { text: 'Hi' }, maxTokens: undefined, temperature: 0, seed: 1, stop: [] });
}

const cannot = { code: 'unsupported_model', message: expect.stringContaining('no chat template') as unknown };
const header = (chatTemplate: 'file' | 'none'): LoadProgress => {
  return { stage: 'open', bytesDone: 7, bytesTotal: 1000, bytesPerSecond: 1, secondsLeft: 1, chatTemplate };
};

test('a session that wants to chat is refused a model that cannot when its header is read, and ends the load if it is alone', async () => {
  const tab = new Tab('a');
  const loading = load(tab, 'm', true);
  await settle();
  const { context } = loader.last;
  context.onProgress(header('none'));
  expect(context.signal.aborted).toBe(true); // at once, so that no byte is read in between
  await expect(loading).rejects.toMatchObject(cannot);
  expect(host.metrics().models).toEqual([]);
  expect(() => generate(tab, 'r')).toThrow(expect.objectContaining({ code: 'invalid_request' }));
});

test('one that is refused does not end the load of others, nor hears of it again', async () => {
  loader.chatTemplate = 'none';
  const [chats, continues] = [new Tab('a'), new Tab('b')];
  const refused = load(chats, 'm', true);
  const loaded = load(continues, 'm');
  await settle();
  const first = loader.last;
  first.context.onProgress(header('none'));
  await expect(refused).rejects.toMatchObject(cannot);
  const other = load(chats, 'other', true);
  await settle();
  first.context.onProgress({ ...header('none'), bytesDone: 8 });
  expect(loader.last.context.signal.aborted).toBe(false);
  first.finish();
  expect(await loaded).toMatchObject({ id: 'm', chatTemplate: 'none' });
  expect(chats.progress).toEqual([]);
  generate(continues, 'r');
  expect(first.engine.only).toBe('r');
  loader.last.fail(new TabserveError('download_failed', 'over'));
  await expect(other).rejects.toMatchObject({ code: 'download_failed' });
});

test('it is told at once of a load under way and of a loaded model', async () => {
  loader.chatTemplate = 'none';
  const [continues, joins, comesLate] = [new Tab('a'), new Tab('b'), new Tab('c')];
  const loaded = load(continues, 'm');
  await settle();
  loader.last.context.onProgress(header('none'));
  await expect(load(joins, 'm', true)).rejects.toMatchObject(cannot);
  loader.last.finish();
  await loaded;
  await expect(load(comesLate, 'm', true)).rejects.toMatchObject(cannot);
  expect(host.metrics().models).toMatchObject([{ id: 'm', state: 'ready', sessions: 1 }]);
});

test('it gets a model that can, and joins those who do not care', async () => {
  const [first, second] = [new Tab('a'), new Tab('b')];
  const loads = [load(first, 'm', true), load(second, 'm')];
  await settle();
  loader.last.context.onProgress(header('file'));
  loader.last.finish();
  expect(await Promise.all(loads)).toMatchObject([{ chatTemplate: 'file' }, { chatTemplate: 'file' }]);
  expect(loader.loads.map(({ options }) => options)).toEqual([{ source: 'm' }]);
});
