import { afterEach, expect, test, vi } from 'vitest';
import { opfsStorage } from '../../../src/storage/opfs-storage.ts';
import { idbTuningStorage } from '../../../src/tuning/tuning-store.ts';

afterEach(() => vi.unstubAllGlobals());

test('each database is opened once, by however many loads', () => {
  const open = vi.fn(() => ({}));
  vi.stubGlobal('indexedDB', { open });
  vi.stubGlobal('navigator', { storage: { getDirectory: () => {} } });
  for (let load = 0; load < 3; load++) {
    void opfsStorage()?.readManifest('u');
    void idbTuningStorage()?.read('a');
  }
  expect(open.mock.calls).toEqual([['tabserve-models'], ['tabserve-tuning']]);
});
