import { beforeEach, expect, test } from 'vitest';
import type { ModelManager } from '../../../src/worker/model-manager.ts';
import { bytes, END, FakeLoader } from '../../support/fake-model.ts';
import { openManager, Tab } from '../../support/tab.ts';

// A model that nobody uses or sees leaves the GPU after a while, and its next request brings it back.

/** A pause that a test ends. */
interface Pause {
  readonly ms: number;
  readonly end: () => void;
  isOver: boolean;
}

let loader: FakeLoader;
let manager: ModelManager;
let pauses: Pause[];
const settle = () => new Promise<void>((resolve) => setTimeout(resolve));

/** The pauses under way before a model leaves the GPU; those of what watches loads are short. */
const waiting = (): readonly number[] => pauses.filter(({ isOver, ms }) => !isOver && ms >= 60_000).map(({ ms }) => ms);

/** Ends them. */
async function pass(): Promise<void> {
  for (const { end, ms } of pauses) if (ms >= 60_000) end();
  await settle();
}

async function load(name: string, keepAliveMs?: number): Promise<Tab> {
  const tab = new Tab(name, manager);
  const before = loader.loads.length;
  const loading = tab.load({ source: 'm', keepAliveMs });
  await settle();
  if (loader.loads.length > before) loader.last.finish();
  await loading;
  return tab;
}

beforeEach(() => {
  loader = new FakeLoader();
  pauses = [];
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const pause: Pause = { ms, isOver: false, end: () => { pause.isOver = true; resolve(); } };
      signal?.addEventListener('abort', () => {
        pause.isOver = true;
        reject(signal.reason as Error);
      });
      pauses.push(pause);
    });
  manager = openManager({ loadModel: loader.loadModel, sleep });
});

test('a model whose only tab is hidden and asks nothing leaves the GPU, and comes back with its next request', async () => {
  const tab = await load('t', 60_000);
  const first = loader.last;
  tab.setHidden(true);
  expect(waiting()).toEqual([60_000]);
  await pass();
  expect([tab.state, first.destroyed()]).toEqual(['parked', true]);
  expect(tab.frames).toContainEqual(expect.objectContaining({ type: 'log', level: 'info', message: expect.stringContaining('off the GPU') }));
  void tab.generate('r');
  await settle();
  loader.last.finish();
  await settle();
  expect([tab.state, [...loader.last.engine.live.keys()]]).toEqual(['ready', ['r']]);
});

test('its clock goes on while one of its own tabs is visible', async () => {
  const hidden = await load('hidden');
  const { visibleClock } = loader.last.context;
  expect([visibleClock.isVisible, visibleClock.numHides]).toEqual([true, 0]);
  hidden.setHidden(true);
  expect([visibleClock.isVisible, visibleClock.numHides]).toEqual([false, 1]);
  const visible = await load('visible');
  expect(visibleClock.isVisible).toBe(true);
  visible.setHidden(true);
  expect([visibleClock.isVisible, visibleClock.numHides]).toEqual([false, 2]);
  hidden.setHidden(false);
  hidden.leave();
  expect(visibleClock.isVisible).toBe(false);
  const other = new Tab('other', manager); // visible, but of another model
  void other.load('n');
  await settle();
  expect(visibleClock.isVisible).toBe(false);
  visible.leave();
});

test('ten minutes where nothing else is said; never where the time is endless', async () => {
  const tab = await load('t');
  tab.setHidden(true);
  expect(waiting()).toEqual([600_000]);
  tab.leave();
  const other = await load('other', Infinity);
  other.setHidden(true);
  expect(waiting()).toEqual([]);
});

test('never while one of its tabs is visible', async () => {
  const hidden = await load('hidden', 60_000);
  hidden.setHidden(true);
  const visible = await load('visible');
  expect(waiting()).toEqual([]);
  await pass();
  expect(hidden.state).toBe('ready');
  visible.leave();
  expect(waiting()).toEqual([60_000]);
  hidden.setHidden(false);
  expect(waiting()).toEqual([]);
});

test('the time begins anew with each request’s end, and does not run during one', async () => {
  const tab = await load('t', 60_000);
  tab.setHidden(true);
  void tab.generate('r');
  await settle();
  await pass();
  expect(tab.state).toBe('ready');
  loader.last.engine.step({ id: 'r', tokens: bytes('a') });
  await settle();
  expect(waiting()).toEqual([]);
  loader.last.engine.step({ id: 'r', tokens: [END], finish: 'stop' });
  await settle();
  expect(waiting()).toEqual([60_000]);
  void tab.generate('s');
  loader.last.engine.step({ id: 's', tokens: bytes('a') });
  await settle();
  expect(waiting()).toEqual([]);
});

test('a hidden tab’s model is left alone while it loads', async () => {
  const tab = new Tab('t', manager);
  tab.isHidden = true;
  const loading = tab.load({ source: 'm', keepAliveMs: 60_000 });
  await settle();
  tab.setHidden(true);
  expect(waiting()).toEqual([]);
  loader.last.finish();
  await loading;
  await settle();
  expect(waiting()).toEqual([60_000]);
});

test.each([-1, Number.NaN, '5'])('keepAliveMs of %s is refused by its name', async (keepAliveMs) => {
  const loading = new Tab('t', manager).load({ source: 'm', keepAliveMs: keepAliveMs as number });
  await expect(loading).rejects.toMatchObject({ code: 'invalid_request', param: 'keepAliveMs' });
});
