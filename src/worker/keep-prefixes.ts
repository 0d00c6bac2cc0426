import type { KvCacheDtype } from '../core/kv-cache-dtype.ts';
import type { AdapterSummary } from '../core/metrics.ts';
import type { Numerics } from '../core/numerics.ts';
import type { PersistPrefixCache } from '../core/protocol.ts';
import type { Engine } from '../engine/engine.ts';
import { type BlockTransfer, PrefixKeeper } from '../engine/prefix-keeper.ts';
import type { IdentifiedSource } from '../loader/identified-source.ts';
import { opfsPartStorage } from '../loader/opfs-storage.ts';
import type { PartStorage } from '../loader/part-storage.ts';
import { type PrefixManifest, PrefixStore, removeKeptPrefixes } from '../loader/prefix-store.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';
import { BUILD } from './build.ts';
import type { LoadContext } from './served-model.ts';

const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;

export type PrefixStorage = PartStorage<PrefixManifest>;

/** Where the browser keeps prefixes, apart from the models. */
export function opfsPrefixStorage(): PrefixStorage | undefined {
  return opfsPartStorage<PrefixManifest>('tabserve-prefixes');
}

/** That prefixes are to be kept, and where. */
export interface PrefixPlan {
  readonly storage: PrefixStorage;
  readonly maxBytes: number;
}

/** What a user's setting asks for: to keep prefixes, or to delete those that were kept, in the background, or neither. */
export function planPrefixes(
  setting: PersistPrefixCache | undefined,
  openStorage: () => PrefixStorage | undefined,
  log: LoadContext['log'],
): PrefixPlan | undefined {
  if (setting === undefined) return undefined;
  const maxBytes = typeof setting === 'boolean' ? DEFAULT_MAX_BYTES : setting.maxBytes;
  const storage = openStorage();
  if (setting !== false) {
    if (storage !== undefined) return { storage, maxBytes };
    log('info', 'This browser has no storage here, so that no prefixes are kept.');
  } else if (storage !== undefined) {
    removeKeptPrefixes(storage).catch((error: unknown) => {
      log('warn', `The prefixes kept in this browser's storage could not be deleted: ${String(error)}`);
    });
  }
  return undefined;
}

export interface KeepPrefixesOptions {
  /** The model's file, read. */
  readonly file: IdentifiedSource;
  readonly transfer: BlockTransfer & { readonly blockBytes: number };
  readonly adapter: AdapterSummary;
  readonly kvCacheDtype: KvCacheDtype;
  readonly numerics: Numerics;
  readonly scheduler: Scheduler;
  readonly stats: Engine['stats'];
  readonly log: LoadContext['log'];
  readonly clock: () => number;
}

/** Keeps an engine's hot prefixes, apart from those of everything whose KV might differ in a bit. */
export function keepPrefixes({ storage, maxBytes }: PrefixPlan, options: KeepPrefixesOptions): PrefixKeeper {
  const { transfer, scheduler, stats, log, clock } = options;
  const { blockSize } = scheduler.config;
  const { blockBytes } = transfer;
  const warn = (message: string): void => log('warn', message);
  return new PrefixKeeper({
    prefixes: scheduler.prefixes,
    transfer,
    stats,
    clock,
    now: Date.now,
    log,
    openStore: async () => {
      const name = await setName(options);
      return name === undefined ? undefined : PrefixStore.open({ storage, name, blockSize, blockBytes, maxBytes, log: warn });
    },
  });
}

/**
 * All that a block's bytes depend on beside its tokens: the model's file, the KV type and size of a block, the numerics, the
 * adapter and the kernels used on it, and, as both compile the kernels, this release and the browser's. Undefined: not to be told.
 */
async function setName(options: KeepPrefixesOptions): Promise<string | undefined> {
  const model = await options.file.identity();
  if (model === undefined) return undefined;
  const { kvCacheDtype, numerics, adapter, scheduler, transfer } = options;
  const { vendor, architecture, device, description, isSoftware, features } = adapter;
  const gpu = [vendor, architecture, device, description, isSoftware, ...features.toSorted()];
  const browser = globalThis.navigator?.userAgent ?? '';
  const block = [kvCacheDtype, numerics, scheduler.config.blockSize, transfer.blockBytes];
  return JSON.stringify([model, block, gpu, BUILD, browser]);
}
