import { get, update } from 'idb-keyval';
import type { BestVariant, BestVariants } from './tunable.ts';
import { keyValueStore } from '../storage/key-value-store.ts';

/** The most best variants kept of one adapter: those of some models. The oldest are dropped first. */
const MAX_VARIANTS = 400;
/** The most models whose kernels' widths are kept. */
const MAX_MODELS = 50;

/** One adapter's best variants. Those of another version are of other kernels, or of another compiler. */
export interface TuningRecord {
  readonly version: string;
  readonly bestVariants: Readonly<Record<string, BestVariant>>;
  /** By the hash of a model's kernels, the names of those whose widths give different bits. Without it nothing was measured. */
  readonly invariance?: Readonly<Record<string, readonly string[]>>;
}

/** Where records are kept, by adapter. */
export interface TuningStorage {
  read(adapter: string): Promise<TuningRecord | undefined>;
  /** Replaces a record by the result of `change`, atomically. */
  update(adapter: string, change: (record: TuningRecord | undefined) => TuningRecord): Promise<void>;
}

/** The browser's; undefined where it has no IndexedDB. */
export function idbTuningStorage(): TuningStorage | undefined {
  if (typeof indexedDB === 'undefined') return undefined;
  // The name is older than the records in it. Another one would be missing in databases that exist already.
  const store = keyValueStore('tabserve-tuning', 'winners');
  return {
    read: (adapter) => get<TuningRecord>(adapter, store),
    update: (adapter, change) => update<TuningRecord>(adapter, change, store),
  };
}

/** The best variants of an adapter, by the same version. @throws the storage's error */
export async function readBestVariants(storage: TuningStorage, adapter: string, version: string): Promise<BestVariants> {
  return bestVariantsOf(await storage.read(adapter), version);
}

/** Adds a trial's result. @throws the storage's error */
export async function keepBestVariant(
  storage: TuningStorage,
  { adapter, version }: { readonly adapter: string; readonly version: string },
  key: string,
  best: BestVariant,
): Promise<void> {
  await storage.update(adapter, (record) => {
    const bestVariants = new Map(bestVariantsOf(record, version));
    bestVariants.delete(key);
    bestVariants.set(key, best);
    const kept = { bestVariants: Object.fromEntries([...bestVariants].slice(-MAX_VARIANTS)) };
    return { version, ...kept, invariance: Object.fromEntries(invarianceOf(record, version)) };
  });
}

/**
 * The names of the kernels of a model whose widths were found to give different bits; undefined where nothing was measured.
 * @throws the storage's error
 */
export async function readInvariance(storage: TuningStorage, adapter: string, version: string, kernels: string): Promise<readonly string[] | undefined> {
  return invarianceOf(await storage.read(adapter), version).get(kernels);
}

/** Adds what was measured of a model's kernels. @throws the storage's error */
export async function keepInvariance(
  storage: TuningStorage,
  { adapter, version }: { readonly adapter: string; readonly version: string },
  kernels: string,
  failed: readonly string[],
): Promise<void> {
  await storage.update(adapter, (record) => {
    const invariance = new Map(invarianceOf(record, version));
    invariance.delete(kernels);
    invariance.set(kernels, failed);
    const bestVariants = Object.fromEntries(bestVariantsOf(record, version));
    return { version, bestVariants, invariance: Object.fromEntries([...invariance].slice(-MAX_MODELS)) };
  });
}

/** The valid entries of a record, which may hold anything. */
function invarianceOf(record: Partial<TuningRecord> | undefined, version: string): ReadonlyMap<string, readonly string[]> {
  if (record?.version !== version) return new Map();
  return new Map(Object.entries(record.invariance ?? {}).filter(([, failed]) => isNames(failed)));
}

/** The valid entries of a record, which may hold anything. */
function bestVariantsOf(record: Partial<TuningRecord> | undefined, version: string): BestVariants {
  if (record?.version !== version) return new Map();
  return new Map(Object.entries(record.bestVariants ?? {}).filter(([, best]) => isBestVariant(best)));
}

function isBestVariant(value: Partial<BestVariant> | null): boolean {
  const isTime = (ms: unknown): boolean => typeof ms === 'number' && ms > 0 && ms < Infinity;
  return typeof value?.variant === 'string' && isTime(value.ms) && isTime(value.defaultMs) && isNames(value.tried);
}

function isNames(names: unknown): boolean {
  return Array.isArray(names) && names.every((name) => typeof name === 'string');
}
