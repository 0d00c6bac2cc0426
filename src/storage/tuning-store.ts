import { get, update } from 'idb-keyval';
import type { Winner, Winners } from '../core/tuning.ts';
import { keyValueStore } from './key-value-store.ts';

/** Kernels' winners on one adapter: those of some models. The oldest go first. */
const MAX_WINNERS = 400;

/** What is kept of one adapter. Winners of another version are of other kernels, or of another compiler. */
export interface TuningRecord {
  readonly version: string;
  readonly winners: Readonly<Record<string, Winner>>;
}

/** Where records are kept, by adapter. */
export interface TuningStorage {
  read(adapter: string): Promise<TuningRecord | undefined>;
  /** Replaces a record by what `change` makes of it, with no other change in between. */
  update(adapter: string, change: (record: TuningRecord | undefined) => TuningRecord): Promise<void>;
}

/** The browser's; undefined where it has no IndexedDB. */
export function idbTuningStorage(): TuningStorage | undefined {
  if (typeof indexedDB === 'undefined') return undefined;
  const store = keyValueStore('tabserve-tuning', 'winners');
  return {
    read: (adapter) => get<TuningRecord>(adapter, store),
    update: (adapter, change) => update<TuningRecord>(adapter, change, store),
  };
}

/** What was found on an adapter by the same version. @throws what the storage does */
export async function readWinners(storage: TuningStorage, adapter: string, version: string): Promise<Winners> {
  return winnersOf(await storage.read(adapter), version);
}

/** Adds what a race has found. @throws what the storage does */
export async function keepWinner(
  storage: TuningStorage,
  { adapter, version }: { readonly adapter: string; readonly version: string },
  key: string,
  winner: Winner,
): Promise<void> {
  await storage.update(adapter, (record) => {
    const winners = new Map(winnersOf(record, version));
    winners.delete(key);
    winners.set(key, winner);
    return { version, winners: Object.fromEntries([...winners].slice(-MAX_WINNERS)) };
  });
}

/** Whatever is in the storage: what is no winner is left out. */
function winnersOf(record: Partial<TuningRecord> | undefined, version: string): Winners {
  if (record?.version !== version) return new Map();
  return new Map(Object.entries(record.winners ?? {}).filter(([, winner]) => isWinner(winner)));
}

function isWinner(value: Partial<Winner> | null): boolean {
  const isTime = (ms: unknown): boolean => typeof ms === 'number' && ms > 0 && ms < Infinity;
  return typeof value?.way === 'string' && isTime(value.ms) && isTime(value.defaultMs);
}
