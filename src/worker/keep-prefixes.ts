import type { AdapterSummary } from '../core/metrics.ts';
import type { GrantedSettings, PersistPrefixCache } from '../core/load-settings.ts';
import type { Engine } from '../engine/engine.ts';
import type { GpuLock } from '../engine/gpu-lock.ts';
import { type BlockTransfer, PrefixKeeper } from '../engine/prefix-keeper.ts';
import type { IdentifiedSource } from '../download/identified-source.ts';
import { opfsPartStorage } from '../storage/opfs-storage.ts';
import type { PartStorage } from '../storage/part-storage.ts';
import { type PrefixManifest, removeKeptPrefixes } from '../storage/prefix-manifest.ts';
import { PrefixStore } from '../storage/prefix-store.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';
import { BUILD } from '../core/build.ts';
import type { LoadContext } from './served-model.ts';

const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;

export type PrefixStorage = PartStorage<PrefixManifest>;

/** The browser's storage of prefixes, apart from the models. */
export function opfsPrefixStorage(): PrefixStorage | undefined {
  return opfsPartStorage<PrefixManifest>('tabserve-prefixes');
}

/** Where prefixes are kept, and how much. */
export interface PrefixPlan {
  readonly storage: PrefixStorage;
  readonly maxBytes: number;
}

/** The prefixes kept in this browser's storage, and the keepers of this worker's engines. */
export class KeptPrefixes {
  readonly #openStorage: () => PrefixStorage | undefined;
  readonly #keepers = new Set<PrefixKeeper>();
  /** Resolves when the deletion under way has ended: no set is opened before. Never rejects. */
  #deleted: Promise<unknown> = Promise.resolve();

  /** @param openStorage where they are kept. @default the browser's */
  constructor(openStorage = opfsPrefixStorage) {
    this.#openStorage = openStorage;
  }

  /** The plan for a model's setting; undefined where nothing is kept. */
  plan(setting: PersistPrefixCache | undefined, log: LoadContext['log']): PrefixPlan | undefined {
    if (setting === undefined || setting === false) return undefined;
    const storage = this.#openStorage();
    if (storage !== undefined) return { storage, maxBytes: setting === true ? DEFAULT_MAX_BYTES : setting.maxBytes };
    log('info', 'This browser has no storage here, so that no prefixes are kept.');
    return undefined;
  }

  /** Keeps an engine's hot prefixes. Engines whose KV might differ in a bit have sets of their own. */
  keep(plan: PrefixPlan, options: KeepPrefixesOptions): PrefixKeeper {
    const keeper = createKeeper(plan, options, () => this.#deleted);
    this.#keepers.add(keeper);
    return keeper;
  }

  /** Forgets a keeper, once its engine's idle work has ended. */
  release(keeper: PrefixKeeper, ended: Promise<void>): void {
    void ended.then(() => this.#keepers.delete(keeper));
  }

  /**
   * Deletes the kept prefixes of all models. Engines that keep prefixes go on with later requests.
   * @throws the storage's error
   */
  deleteAll(): Promise<void> {
    const deleting = Promise.all([...this.#keepers].map((keeper) => keeper.forget())).then(async (names) => {
      const storage = this.#openStorage();
      if (storage !== undefined) await removeKeptPrefixes(storage, names.filter((name) => name !== undefined));
    });
    this.#deleted = Promise.allSettled([this.#deleted, deleting]);
    return deleting;
  }
}

export interface KeepPrefixesOptions {
  /** The model's file, read. */
  readonly file: IdentifiedSource;
  readonly transfer: BlockTransfer & { readonly blockBytes: number };
  readonly adapter: AdapterSummary;
  readonly granted: GrantedSettings;
  readonly scheduler: Scheduler;
  readonly stats: Engine['stats'];
  readonly gpuLock: GpuLock;
  readonly log: LoadContext['log'];
  readonly clock: () => number;
}

function createKeeper(
  { storage, maxBytes }: PrefixPlan,
  options: KeepPrefixesOptions,
  deleted: () => Promise<unknown>,
): PrefixKeeper {
  const { transfer, scheduler, stats, gpuLock, log, clock } = options;
  const { blockSize } = scheduler.config;
  const { blockBytes } = transfer;
  const warn = (message: string): void => log('warn', message);
  return new PrefixKeeper({
    prefixes: scheduler.prefixes,
    transfer,
    stats,
    gpuLock,
    clock,
    now: Date.now,
    log,
    openStore: async (onDeleted) => {
      const earlier = deleted(); // a later one waits for this store instead, to clear it
      const name = await setName(options);
      await earlier;
      if (name === undefined) return undefined;
      return PrefixStore.open({ storage, name, blockSize, blockBytes, maxBytes, onDeleted, log: warn });
    },
  });
}

/**
 * Everything that a block's bytes depend on beside its tokens: the model's file, the KV type and size of a block, the
 * numerics, the adapter and its kernels, and, as both compile kernels, this release and the browser's. Undefined where the
 * file cannot be identified.
 */
async function setName(options: KeepPrefixesOptions): Promise<string | undefined> {
  const model = await options.file.identity();
  if (model === undefined) return undefined;
  const { adapter, scheduler, transfer } = options;
  const { kvCacheDtype, numerics } = options.granted;
  const { vendor, architecture, device, description, isSoftware, features } = adapter;
  const gpu = [vendor, architecture, device, description, isSoftware, ...features.toSorted()];
  const browser = globalThis.navigator?.userAgent ?? '';
  const block = [kvCacheDtype, numerics, scheduler.config.blockSize, transfer.blockBytes];
  return JSON.stringify([model, block, gpu, BUILD, browser]);
}
