import { expect, test } from 'vitest';
import { keepWinner, readWinners, type TuningRecord, type TuningStorage } from '../../../src/storage/tuning-store.ts';

const WINNER = { way: 'fast', ms: 1, defaultMs: 2 };

function memory(records = new Map<string, TuningRecord>()): TuningStorage {
  return {
    read: async (adapter) => records.get(adapter),
    update: async (adapter, change) => void records.set(adapter, change(records.get(adapter))),
  };
}

test('winners are found again on the same adapter by the same version, and nowhere else', async () => {
  const storage = memory();
  await keepWinner(storage, { adapter: 'A', version: '1' }, 'kernel', WINNER);
  await keepWinner(storage, { adapter: 'A', version: '1' }, 'other', { ...WINNER, way: 'slow' });
  expect(await readWinners(storage, 'A', '1')).toEqual(new Map([['kernel', WINNER], ['other', { ...WINNER, way: 'slow' }]]));
  expect(await readWinners(storage, 'A', '2')).toEqual(new Map());
  expect(await readWinners(storage, 'B', '1')).toEqual(new Map());
});

test('a new version takes the place of the old one', async () => {
  const storage = memory();
  await keepWinner(storage, { adapter: 'A', version: '1' }, 'old', WINNER);
  await keepWinner(storage, { adapter: 'A', version: '2' }, 'new', WINNER);
  expect([...(await readWinners(storage, 'A', '2')).keys()]).toEqual(['new']);
  expect(await readWinners(storage, 'A', '1')).toEqual(new Map());
});

test('what is no winner is left out, whatever is stored', async () => {
  const winners = {
    good: WINNER, nothing: null, text: 'fast', noWay: { ms: 1, defaultMs: 2 }, noTime: { way: 'a', ms: NaN, defaultMs: 1 },
    never: { way: 'a', ms: 1, defaultMs: Infinity }, immediate: { way: 'a', ms: 0, defaultMs: 1 },
  };
  const record = { version: '1', winners } as unknown as TuningRecord;
  expect([...(await readWinners(memory(new Map([['A', record]])), 'A', '1')).keys()]).toEqual(['good']);
  for (const odd of [null, 7, { version: '1' }, { version: '1', winners: null }] as unknown as TuningRecord[]) {
    expect(await readWinners(memory(new Map([['A', odd]])), 'A', '1')).toEqual(new Map());
  }
});

test('it does not grow without end: the oldest go first', async () => {
  const storage = memory();
  for (let i = 0; i < 410; i++) await keepWinner(storage, { adapter: 'A', version: '1' }, `kernel ${i}`, WINNER);
  await keepWinner(storage, { adapter: 'A', version: '1' }, 'kernel 100', WINNER); // as good as new
  const keys = [...(await readWinners(storage, 'A', '1')).keys()];
  expect(keys).toHaveLength(400);
  expect([keys[0], keys.at(-1)]).toEqual(['kernel 10', 'kernel 100']);
});
