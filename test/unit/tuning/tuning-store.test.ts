import { expect, test } from 'vitest';
import { keepBestVariant, readBestVariants, type TuningRecord, type TuningStorage } from '../../../src/tuning/tuning-store.ts';

const BEST = { variant: 'fast', ms: 1, defaultMs: 2, tried: ['fast'] };

function memory(records = new Map<string, TuningRecord>()): TuningStorage {
  return {
    read: async (adapter) => records.get(adapter),
    update: async (adapter, change) => void records.set(adapter, change(records.get(adapter))),
  };
}

test('best variants are found again on the same adapter by the same version, and nowhere else', async () => {
  const storage = memory();
  await keepBestVariant(storage, { adapter: 'A', version: '1' }, 'kernel', BEST);
  await keepBestVariant(storage, { adapter: 'A', version: '1' }, 'other', { ...BEST, variant: 'slow' });
  expect(await readBestVariants(storage, 'A', '1')).toEqual(new Map([['kernel', BEST], ['other', { ...BEST, variant: 'slow' }]]));
  expect(await readBestVariants(storage, 'A', '2')).toEqual(new Map());
  expect(await readBestVariants(storage, 'B', '1')).toEqual(new Map());
});

test('a new version takes the place of the old one', async () => {
  const storage = memory();
  await keepBestVariant(storage, { adapter: 'A', version: '1' }, 'old', BEST);
  await keepBestVariant(storage, { adapter: 'A', version: '2' }, 'new', BEST);
  expect([...(await readBestVariants(storage, 'A', '2')).keys()]).toEqual(['new']);
  expect(await readBestVariants(storage, 'A', '1')).toEqual(new Map());
});

test('what is no best variant is left out, whatever is stored', async () => {
  const bestVariants = {
    good: BEST, nothing: null, text: 'fast', noVariant: { ...BEST, variant: undefined }, noTime: { ...BEST, ms: NaN },
    never: { ...BEST, defaultMs: Infinity }, immediate: { ...BEST, ms: 0 }, untold: { variant: 'a', ms: 1, defaultMs: 1 },
    nameless: { ...BEST, tried: ['fast', 1] }, unlisted: { ...BEST, tried: 'fast' },
  };
  const record = { version: '1', bestVariants } as unknown as TuningRecord;
  expect([...(await readBestVariants(memory(new Map([['A', record]])), 'A', '1')).keys()]).toEqual(['good']);
  for (const odd of [null, 7, { version: '1' }, { version: '1', bestVariants: null }] as unknown as TuningRecord[]) {
    expect(await readBestVariants(memory(new Map([['A', odd]])), 'A', '1')).toEqual(new Map());
  }
});

test('it does not grow without end: the oldest go first', async () => {
  const storage = memory();
  for (let i = 0; i < 410; i++) await keepBestVariant(storage, { adapter: 'A', version: '1' }, `kernel ${i}`, BEST);
  await keepBestVariant(storage, { adapter: 'A', version: '1' }, 'kernel 100', BEST); // as good as new
  const keys = [...(await readBestVariants(storage, 'A', '1')).keys()];
  expect(keys).toHaveLength(400);
  expect([keys[0], keys.at(-1)]).toEqual(['kernel 10', 'kernel 100']);
});
