import { expect, test } from 'vitest';
import { findRoom, type Tenant } from '../../../src/worker/gpu-room.ts';

function tenant(id: string, gpuBytes: number, isIdle: boolean, lastUsed = 0): Tenant {
  return { id, url: id, gpuBytes, numSessions: 1, numRequests: isIdle ? 0 : 1, isIdle, lastUsed };
}

const NEED = { minBytes: 20, enoughBytes: 30, wantedBytes: 60, budgetBytes: 100 };
const idle = [tenant('newer', 30, true, 2), tenant('older', 25, true, 1)];

function room(need: Partial<typeof NEED>, others: readonly Tenant[]): unknown {
  const { grantedBytes, unload } = findRoom({ ...NEED, ...need }, others);
  return [grantedBytes, unload.map(({ id }) => id)];
}

test('all that is wanted is granted where there is room', () => {
  expect(room({}, [])).toEqual([60, []]);
  expect(room({}, [tenant('small', 40, true)])).toEqual([60, []]);
});

test('idle models go for what is enough, the least recently used first', () => {
  expect(room({}, idle)).toEqual([45, []]);
  expect(room({ enoughBytes: 46 }, idle)).toEqual([60, ['older']]);
  expect(room({ wantedBytes: 90, enoughBytes: 71 }, idle)).toEqual([90, ['older', 'newer']]);
});

test('beside models at work as much is granted as they leave, and nobody goes where that is no more', () => {
  const busy = tenant('busy', 75, false);
  expect(room({}, [busy])).toEqual([25, []]);
  expect(room({}, [busy, tenant('idle', 10, true)])).toEqual([25, ['idle']]);
  expect(() => room({ minBytes: 26 }, [busy])).toThrow(expect.objectContaining({ code: 'model_busy' }));
});
