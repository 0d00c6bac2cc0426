import { beforeEach, expect, test } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import type { LoadProgress } from '../../../src/core/progress.ts';
import type { ModelManager } from '../../../src/worker/model-manager.ts';
import { FakeLoader } from '../../support/fake-model.ts';
import { openManager, Tab } from '../../support/tab.ts';

// `requireChat`: a session that is refused a model without a chat template as soon as that is known.

let loader: FakeLoader;
let manager: ModelManager;
const open = (sessionId: string): Tab => new Tab(sessionId, manager);
const settle = () => new Promise((resolve) => setTimeout(resolve));

beforeEach(() => {
  loader = new FakeLoader();
  manager = openManager({ loadModel: loader.loadModel });
});

function load(tab: Tab, source: string, requireChat = false) {
  return tab.load({ source, requireChat });
}

function generate(tab: Tab, requestId: string): void {
  void tab.generate(requestId, { prompt: { text: 'Hi' } });
}

const cannot = { code: 'unsupported_model', message: expect.stringContaining('no chat template') as unknown };
const header = (chatTemplate: 'file' | 'none'): LoadProgress => {
  return { stage: 'open', bytesDone: 7, bytesTotal: 1000, bytesPerSecond: 1, secondsLeft: 1, chatTemplate };
};

test('a session that wants to chat is refused a model that cannot when its header is read, and ends the load if it is alone', async () => {
  const tab = open('a');
  const loading = load(tab, 'm', true);
  await settle();
  const { context } = loader.last;
  context.onProgress(header('none'));
  expect(context.signal.aborted).toBe(true); // at once, so that no byte is read in between
  await expect(loading).rejects.toMatchObject(cannot);
  expect(manager.metrics().models).toEqual([]);
  expect(() => generate(tab, 'r')).toThrow(expect.objectContaining({ code: 'invalid_request' }));
});

test('one that is refused does not end the load of others, nor hears of it again', async () => {
  loader.chatTemplate = 'none';
  const [chats, continues] = [open('a'), open('b')];
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
  const [continues, joins, comesLate] = [open('a'), open('b'), open('c')];
  const loaded = load(continues, 'm');
  await settle();
  loader.last.context.onProgress(header('none'));
  await expect(load(joins, 'm', true)).rejects.toMatchObject(cannot);
  loader.last.finish();
  await loaded;
  await expect(load(comesLate, 'm', true)).rejects.toMatchObject(cannot);
  expect(manager.metrics().models).toMatchObject([{ id: 'm', state: 'ready', sessions: 1 }]);
});

test('it gets a model that can, and joins those who do not care', async () => {
  const [first, second] = [open('a'), open('b')];
  const loads = [load(first, 'm', true), load(second, 'm')];
  await settle();
  loader.last.context.onProgress(header('file'));
  loader.last.finish();
  expect(await Promise.all(loads)).toMatchObject([{ chatTemplate: 'file' }, { chatTemplate: 'file' }]);
  expect(loader.loads.map(({ options }) => options)).toEqual([{ source: 'm' }]);
});
