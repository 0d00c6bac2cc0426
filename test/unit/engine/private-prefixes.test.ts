import { expect, test } from 'vitest';
import { again, asked, keptStorage, makeRequest, numKept, start, turn } from './keeping-engine.ts';

test('a prompt that only others ask again, who do not allow it, is not kept', async () => {
  const engine = start();
  const others = { ...asked, sessionId: 'other tab', persistPrefix: false };
  await engine.ask({ ...others, requestId: 'o1' });
  await engine.ask({ ...others, requestId: 'o2' });
  await engine.ask(asked);
  expect(engine.engine.stats().prefixCacheHits).toBe(2 * 40); // shared all the same
  await engine.ask({ ...others, requestId: 'o3' });
  expect(engine.seen.reads).toBe(0);
  expect(numKept(engine)).toBe(0);
  await engine.ask(again);
  expect(numKept(engine)).toBe(10);
});

/** How many parts there are, and how many blocks manifests speak of. */
const stored = ({ storage }: ReturnType<typeof start>): number[] => [storage.parts.size, [...storage.manifests.values()].flatMap(({ blocks }) => blocks).length];

test('forgetting deletes what is kept; what is asked later is kept, what was asked before is not', async () => {
  const engine = start({ storage: await keptStorage() });
  await engine.settle(); // restored
  await engine.ask(asked);
  expect(await engine.keeper.forget()).toBe('set');
  expect(stored(engine)).toEqual([0, 0]);
  const other = makeRequest('other', 44);
  await engine.ask(other, { ...other, requestId: 'other 2' });
  await engine.ask({ ...other, requestId: 'other 3' });
  expect(numKept(engine)).toBe(10);
  expect(stored(engine)).toEqual([10, 10]);
  await engine.ask(again);
  expect(numKept(engine)).toBe(10);
  await engine.ask({ ...asked, requestId: 'third' });
  expect(numKept(engine)).toBe(20);
});

test.each(['read from the GPU', 'written to disk'])('forgetting while a block is %s leaves nothing of it', async (when) => {
  const engine = start();
  const { storage } = engine;
  let forgotten: Promise<unknown> | undefined;
  if (when === 'read from the GPU') engine.hooks.onCopy = () => void (engine.seen.reads === 1 && (forgotten = engine.keeper.forget()));
  const writePart = storage.writePart.bind(storage);
  storage.writePart = async (name, part, bytes) => {
    if (when === 'written to disk' && part === 2) forgotten = engine.keeper.forget();
    await turn();
    return writePart(name, part, bytes);
  };
  await engine.ask(asked);
  await engine.ask(again);
  expect(forgotten).toBeDefined();
  await forgotten;
  await engine.settle();
  expect(stored(engine)).toEqual([0, 0]);
  expect(engine.lines.filter((line) => line.includes('refused'))).toEqual([]);
});

test('forgetting while a set is opened or restored leaves nothing to be written again', async () => {
  for (const blocks of [0, 3]) {
    const storage = await keptStorage();
    const next = start({ storage });
    let forgotten: Promise<unknown> | undefined;
    if (blocks > 0) next.hooks.onCopy = () => void (next.seen.writes === blocks && (forgotten = next.keeper.forget()));
    else {
      const list = storage.listManifests.bind(storage);
      storage.listManifests = () => {
        forgotten = next.keeper.forget();
        return list();
      };
    }
    await next.settle();
    next.hooks.onCopy = () => {};
    expect(forgotten).toBeDefined();
    await forgotten;
    expect(stored(next)).toEqual([0, 0]);
    const other = makeRequest('other', 44);
    await next.ask(other);
    await next.ask({ ...other, requestId: 'other 2' });
    expect(numKept(next)).toBe(10); // and nothing else
  }
});
