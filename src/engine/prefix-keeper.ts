import type { IdleSteps, IdleTask } from '../core/idle-task.ts';
import type { EngineStats } from '../core/metrics.ts';
import { type KeptBlock, prefixKey } from '../storage/prefix-manifest.ts';
import type { PrefixStore } from '../storage/prefix-store.ts';
import type { CachedBlock } from '../scheduler/prefix-cache.ts';
import { isHot, type PrefixExchange } from '../scheduler/prefix-exchange.ts';
import type { GpuLock } from './gpu-lock.ts';

/** The least blocks of a prefix: shorter ones are computed as fast as they are restored. */
export const MIN_BLOCKS = 8;

/** Blocks whose restoring is measured before it is compared with computing. */
export const MEASURED_BLOCKS = 4;

/** Copies KV blocks. Both copies are queued synchronously with the call. See `KvBlockTransfer`. */
export interface BlockTransfer {
  read(block: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Resolves when the GPU has written it. */
  write(block: number, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
}

export interface PrefixKeeperOptions {
  readonly prefixes: PrefixExchange;
  readonly transfer: BlockTransfer;
  /**
   * Called once, at the first idle moment. Undefined: nothing is kept.
   *
   * @param onDeleted called by the store when another engine has deleted its blocks
   */
  readonly openStore: (onDeleted: () => void) => Promise<PrefixStore | undefined>;
  readonly stats: () => Pick<EngineStats, 'prefillTokensPerSecond'>;
  /** Tells whether others used the GPU while a block was restored. */
  readonly gpuLock: Pick<GpuLock, 'numHolders' | 'numHolds'>;
  /** The engine's clock, in milliseconds. */
  readonly clock: () => number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: (level: 'info', message: string) => void;
}

/** A hot block that is not kept yet. */
interface Wanted extends Pick<KeptBlock, 'key' | 'parent' | 'lastUsed'> {
  readonly cached: CachedBlock;
}

/**
 * Keeps the KV of hot prefixes from one engine to the next: first it restores the blocks that are kept, then it keeps the hot
 * ones.
 *
 * Each block is one step of the engine's idle queue. No request waits for it: a block's copy is a few commands in the GPU's
 * queue, and its file is read and written elsewhere.
 *
 * The speed of restoring is measured. If it is less, in tokens a second, than the fastest that prompts were seen computed
 * with, by this engine or by those that kept the blocks, restoring ends, and nothing more is kept.
 */
export class PrefixKeeper implements IdleTask {
  readonly failure = 'The prefix cache is not kept any more';
  readonly #options: PrefixKeeperOptions;
  readonly #keys = new WeakMap<CachedBlock, string>();
  readonly #speed = new RestoreSpeed();
  /** Blocks that turned out to be wrong. If they stayed in the store, the first request of every later engine would fail. */
  readonly #wrong: CachedBlock[] = [];
  #store: Promise<PrefixStore | undefined> | undefined;
  /** Still to be restored; undefined before the store is open. */
  #pending: KeptBlock[] | undefined;
  #restored = 0;
  /** The fastest that this engine was seen to compute prompts: the rest of a prompt that is mostly found is slow. */
  #prefillTokensPerSecond = 0;
  #hasEnded = false;

  constructor(options: PrefixKeeperOptions) {
    this.#options = options;
    options.prefixes.onWrong = (cached) => void this.#wrong.push(cached);
  }

  async run({ shared }: IdleSteps): Promise<void> {
    if (this.#hasEnded) return;
    const store = await shared(() => this.#open());
    if (store === undefined) return this.#end();
    while (this.#hasPending) await shared(() => this.#restore(store));
    if (this.#hasEnded) return;
    const wanted = await shared(() => this.#wanted(store));
    let kept = 0;
    for (const block of wanted) if (await shared(() => this.#keep(store, block))) kept++;
    if (kept > 0) this.#options.log('info', `Prefix cache: kept ${kept} more blocks in this browser's storage.`);
  }

  /**
   * Deletes the blocks in its store. Prompts asked before are not hot any more; later ones may be kept.
   * @returns the store's name, where it is open. @throws the storage's error
   */
  async forget(): Promise<string | undefined> {
    this.#cool();
    const store = await this.#store;
    this.#cool();
    await store?.clear();
    return store?.name;
  }

  /** Takes nothing for hot that was asked before, and restores no more. */
  #cool(): void {
    this.#options.prefixes.cool();
    if (this.#pending !== undefined) this.#pending = [];
  }

  get #hasPending(): boolean {
    return !this.#hasEnded && this.#pending !== undefined && this.#pending.length > 0;
  }

  /** Nothing is restored or kept any more. */
  #end(): void {
    this.#hasEnded = true;
    this.#pending = [];
    this.#options.prefixes.onWrong = () => {};
  }

  /** Opens the store, if it is not, and drops the blocks from it that turned out to be wrong. */
  async #open(): Promise<PrefixStore | undefined> {
    this.#updateSpeed();
    this.#store ??= this.#options.openStore(() => this.#cool());
    const store = await this.#store;
    if (store === undefined) return undefined;
    this.#pending ??= [...store.inOrder()];
    for (const cached of this.#wrong.splice(0)) if (cached.cacheSalt === '') await store.drop(await this.#keyOf(cached));
    return store;
  }

  /** The fastest that prompts were seen computed, in tokens a second; 0 while unknown. */
  #updateSpeed(): number {
    const { prefillTokensPerSecond } = this.#options.stats();
    this.#prefillTokensPerSecond = Math.max(this.#prefillTokensPerSecond, prefillTokensPerSecond);
    return this.#prefillTokensPerSecond;
  }

  async #restore(store: PrefixStore): Promise<void> {
    const block = this.#pending?.shift();
    if (block !== undefined) await this.#adopt(store, block);
    if (!this.#hasEnded && this.#pending?.length === 0 && this.#restored > 0) this.#report('restored');
  }

  async #adopt(store: PrefixStore, block: KeptBlock): Promise<void> {
    const { prefixes, transfer, clock, gpuLock } = this.#options;
    const tokenIds = store.tokensThrough(block);
    if (tokenIds === undefined) return;
    const { numHolders, numHolds } = gpuLock;
    const startTime = clock();
    const bytes = await store.read(block);
    if (bytes === undefined) return;
    const writes: Promise<void>[] = [];
    const adoption = prefixes.adopt(tokenIds, (target) => writes.push(transfer.write(target, bytes)));
    if (adoption === 'full') this.#pending = [];
    if (adoption !== 'adopted') return;
    await Promise.all(writes);
    this.#restored++;
    // The time of others' steps meanwhile, of this engine or another model's, is not this block's.
    if (numHolders > 1 || gpuLock.numHolds !== numHolds) return;
    this.#speed.record(block, clock() - startTime);
    if (this.#speed.isFasterThan(this.#updateSpeed())) return;
    this.#report('restoring is slower than computing and ends; restored');
    this.#end();
  }

  /** Whether it has put the block into the store. */
  async #keep(store: PrefixStore, { cached, ...block }: Wanted): Promise<boolean> {
    const { prefixes, transfer } = this.#options;
    const prefillTokensPerSecond = this.#updateSpeed();
    // Without a speed, nobody could decide whether restoring it is worth it.
    if (prefillTokensPerSecond === 0 || !prefixes.holds(cached) || !store.accepts(block)) return false;
    const bytes = await transfer.read(cached.block);
    if (!isHot(cached)) return false; // all kept blocks have been deleted meanwhile, and this one must not come back
    return store.put({ ...block, tokenIds: cached.tokenIds, prefillTokensPerSecond }, bytes);
  }

  /** The hot blocks that are not kept, in the order of their sequences. Those that are kept are marked as used. */
  async #wanted(store: PrefixStore): Promise<readonly Wanted[]> {
    const { prefixes, now, clock } = this.#options;
    const uses = new Map<string, number>();
    const wanted: Wanted[] = [];
    for (const chain of prefixes.hot(MIN_BLOCKS)) {
      let parent = '';
      for (const cached of chain) {
        const key = await this.#keyOf(cached);
        const lastUsed = Math.round(now() - (clock() - cached.lastHit));
        if (store.get(key) === undefined) wanted.push({ cached, key, parent, lastUsed });
        else uses.set(key, lastUsed);
        parent = key;
      }
    }
    await store.touch(uses);
    return wanted;
  }

  async #keyOf(cached: CachedBlock): Promise<string> {
    const known = this.#keys.get(cached);
    if (known !== undefined) return known;
    const parent = cached.parent === undefined ? '' : await this.#keyOf(cached.parent);
    const key = await prefixKey(parent, cached.tokenIds);
    this.#keys.set(cached, key);
    return key;
  }

  #report(what: string): void {
    const { isKnown, tokensPerSecond, computingTokensPerSecond } = this.#speed;
    const computing = Math.max(computingTokensPerSecond, this.#prefillTokensPerSecond);
    const speeds = `, at ${Math.round(tokensPerSecond)} tokens/s; computing gives ${Math.round(computing)} tokens/s`;
    this.#options.log('info', `Prefix cache: ${what} ${this.#restored} blocks${isKnown ? speeds : ''}.`);
  }
}

/** The speed of restoring blocks, and the speed at which the engines that kept them computed prompts. */
class RestoreSpeed {
  #blocks = 0;
  #tokens = 0;
  #ms = 0;
  #computingMs = 0;

  record({ tokenIds, prefillTokensPerSecond }: KeptBlock, ms: number): void {
    this.#blocks++;
    this.#tokens += tokenIds.length;
    this.#ms += ms;
    this.#computingMs += (tokenIds.length / prefillTokensPerSecond) * 1000;
  }

  get isKnown(): boolean {
    return this.#blocks > 0;
  }

  get tokensPerSecond(): number {
    return (this.#tokens / this.#ms) * 1000;
  }

  get computingTokensPerSecond(): number {
    return (this.#tokens / this.#computingMs) * 1000;
  }

  /** True as well while there are too few blocks to compare. */
  isFasterThan(tokensPerSecond: number): boolean {
    if (this.#blocks < MEASURED_BLOCKS) return true;
    return this.tokensPerSecond >= Math.max(tokensPerSecond, this.computingTokensPerSecond);
  }
}
