import { expect, test } from 'vitest';
import { planEviction, type MemoryHolder } from '../../../src/worker/eviction-plan.ts';

function holder(id: string, gpuBytes: number, isIdle: boolean, lastUsed = 0): MemoryHolder {
  return { id, url: id, gpuBytes, numSessions: 1, numRequests: isIdle ? 0 : 1, isIdle, lastUsed };
}

const NEED = { minBytes: 20, enoughBytes: 30, wantedBytes: 60, budgetBytes: 100 };
const idle = [holder('newer', 30, true, 2), holder('older', 25, true, 1)];

function plan(need: Partial<typeof NEED>, others: readonly MemoryHolder[]): unknown {
  const { grantedBytes, unload } = planEviction({ ...NEED, ...need }, others);
  return [grantedBytes, unload.map(({ id }) => id)];
}

test('all that is wanted is granted where there is room', () => {
  expect(plan({}, [])).toEqual([60, []]);
  expect(plan({}, [holder('small', 40, true)])).toEqual([60, []]);
});

test('idle models go for what is enough, the least recently used first', () => {
  expect(plan({}, idle)).toEqual([45, []]);
  expect(plan({ enoughBytes: 46 }, idle)).toEqual([60, ['older']]);
  expect(plan({ wantedBytes: 90, enoughBytes: 71 }, idle)).toEqual([90, ['older', 'newer']]);
});

test('beside models at work as much is granted as they leave, and nobody goes where that is no more', () => {
  const busy = holder('busy', 75, false);
  expect(plan({}, [busy])).toEqual([25, []]);
  expect(plan({}, [busy, holder('idle', 10, true)])).toEqual([25, ['idle']]);
  expect(() => plan({ minBytes: 26 }, [busy])).toThrow(expect.objectContaining({ code: 'model_busy' }));
});
