import { expect, test } from 'vitest';
import { FakeLoader } from '../../support/fake-model.ts';
import { openManager, Tab } from '../../support/tab.ts';

// An automatic KV cache does with less than it wants, but a model that was unloaded comes back as its tabs know it.

const settle = () => new Promise((resolve) => setTimeout(resolve));

test('a model that comes back has the memory that it had, and for its first load idle ones keep theirs', async () => {
  const loader = new FakeLoader();
  const budgetBytes = 100;
  loader.needs.set('a', { minBytes: 20, enoughBytes: 40, wantedBytes: 60, budgetBytes });
  loader.needs.set('b', { minBytes: 20, enoughBytes: 30, wantedBytes: 60, budgetBytes });
  loader.needs.set('c', { minBytes: 50, enoughBytes: 50, wantedBytes: 50, budgetBytes });
  const manager = openManager({ loadModel: loader.loadModel, sleep: settle as () => Promise<void> });
  const sizes = () => Object.fromEntries(manager.metrics().models.map(({ id, gpuBytes }) => [id, gpuBytes]));
  const load = async (source: string) => {
    const tab = new Tab(source, manager);
    const loading = tab.load(source);
    await settle();
    loader.last.finish();
    await loading;
    return tab;
  };
  const a = await load('a');
  await load('b');
  expect(sizes()).toEqual({ a: 60, b: 40 }); // enough, and "a" stays

  await load('c');
  expect(sizes()).toEqual({ a: 0, b: 40, c: 50 });

  void a.generate('r');
  await settle();
  loader.last.finish();
  await settle();
  expect(sizes()).toEqual({ a: 60, b: 0, c: 0 }); // not the 50 beside "c", which would be enough
});
