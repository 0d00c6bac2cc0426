import { beforeEach, expect, test } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import type { ModelManager } from '../../../src/worker/model-manager.ts';
import { FakeLoader } from '../../support/fake-model.ts';
import { openManager, Tab } from '../../support/tab.ts';
import { until } from '../../support/until.ts';

// A GPU that is lost while a model is loaded: a crash of the browser's GPU process, at a bad moment.

const lost = () => new TabserveError('device_lost', 'gone');
const noAdapter = () => new TabserveError('webgpu_unavailable', 'no adapter');

let loader: FakeLoader;
let manager: ModelManager;
/** The pauses that were made, in milliseconds. */
let pauses: number[];
/** Whether the first pause after a loss ends. */
let passes: boolean;
const settle = () => new Promise<void>((resolve) => setTimeout(resolve));

/** Fails the last load, once there are that many. */
async function fail(numLoads: number, error: TabserveError): Promise<void> {
  await until(() => loader.loads.length === numLoads);
  loader.last.fail(error);
}

async function finish(numLoads: number): Promise<void> {
  await until(() => loader.loads.length === numLoads);
  loader.last.finish();
}

beforeEach(() => {
  loader = new FakeLoader();
  pauses = [];
  passes = true;
  const sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    pauses.push(ms);
    if (ms !== 250 || passes) return settle(); // others are of what reports a load that stands still
    await new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error)));
  };
  manager = openManager({ loadModel: loader.loadModel, sleep });
});

test('a first load is made again, also where there is no adapter for a moment', async () => {
  const loading = new Tab('t', manager).load('m');
  await fail(1, lost());
  await fail(2, noAdapter());
  await finish(3);
  expect((await loading).id).toBe('m');
  expect(pauses.filter((ms) => ms <= 500)).toEqual([250, 500]);
});

test('a first load during which the GPU is lost every time fails with that', async () => {
  const loading = new Tab('t', manager).load('m');
  loading.catch(() => {});
  for (const numLoads of [1, 2, 3, 4]) await fail(numLoads, lost());
  await expect(loading).rejects.toMatchObject({ code: 'device_lost' });
  expect(loader.loads).toHaveLength(4);
});

test.each(['webgpu_unavailable', 'out_of_memory', 'download_failed', 'corrupt_model'] as const)('a first load that fails with %s fails at once', async (code) => {
  const loading = new Tab('t', manager).load('m');
  await fail(1, new TabserveError(code, 'no'));
  await expect(loading).rejects.toMatchObject({ code });
  expect(loader.loads).toHaveLength(1);
});

test('a tab that leaves in the pause ends the load', async () => {
  passes = false;
  const tab = new Tab('t', manager);
  const loading = tab.load('m');
  await fail(1, lost());
  await until(() => pauses.includes(250));
  tab.leave();
  await expect(loading).rejects.toMatchObject({ code: 'aborted' });
  expect(loader.loads).toHaveLength(1);
});

test('a tab that joins a model which is loaded again waits through the losses of its GPU, though nothing is asked of it', async () => {
  const first = new Tab('first', manager).load('m');
  await finish(1);
  await first;
  loader.last.lose(lost());
  await until(() => loader.loads.length === 2);
  const joining = new Tab('second', manager).load('m');
  await fail(2, lost());
  await fail(3, lost());
  await finish(4);
  expect((await joining).id).toBe('m');
});
