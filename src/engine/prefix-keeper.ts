import type { EngineStats } from '../core/metrics.ts';
import { type KeptBlock, prefixKey } from '../storage/prefix-manifest.ts';
import type { PrefixStore } from '../storage/prefix-store.ts';
import type { CachedBlock } from '../scheduler/prefix-cache.ts';
import { isHot, type PrefixExchange } from '../scheduler/prefix-exchange.ts';
import type { GpuLock } from './gpu-lock.ts';

/** Blocks that a prefix has at least: shorter ones are computed as fast as they are found. */
export const MIN_BLOCKS = 8;

/** Blocks after which restoring is compared with computing. */
export const TRIAL_BLOCKS = 4;

/** Copies KV blocks; both copies are queued in the turn of the call. See `KvBlockTransfer`. */
export interface BlockTransfer {
  read(block: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Resolves when the GPU has done it. */
  write(block: number, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
}

export interface PrefixKeeperOptions {
  readonly prefixes: PrefixExchange;
  readonly transfer: BlockTransfer;
  /**
   * Called once, when there is time. Undefined: nothing is kept.
   *
   * @param onDeleted called by the store when another engine has deleted what is kept
   */
  readonly openStore: (onDeleted: () => void) => Promise<PrefixStore | undefined>;
  readonly stats: () => Pick<EngineStats, 'requestsRunning' | 'requestsWaiting' | 'prefillTokensPerSecond'>;
  /** Nothing is measured while it works. */
  readonly gpuLock: GpuLock;
  /** The engine's, in milliseconds. */
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
 * Keeps the KV of hot prefixes from one engine to the next: first it restores what was kept, then it keeps what is hot.
 *
 * It works while the engine has nothing to do, block by block, and stops before the next block when a request comes. No
 * request waits for it: a block's copy is a few commands in the GPU's queue, and its file is read and written elsewhere.
 *
 * Whether restoring is worth it is measured: if it brings fewer tokens a second than prompts were ever seen computed
 * with, by this engine or by those that kept the blocks, it ends, and nothing more is kept.
 */
export class PrefixKeeper {
  readonly #options: PrefixKeeperOptions;
  readonly #keys = new WeakMap<CachedBlock, string>();
  readonly #speed = new RestoreSpeed();
  /** Blocks that turned out to be wrong: what is kept of them would fail the first request of every engine to come. */
  readonly #wrong: CachedBlock[] = [];
  #store: Promise<PrefixStore | undefined> | undefined;
  /** Still to be restored; undefined before the store is open. */
  #pending: KeptBlock[] | undefined;
  #restored = 0;
  /** The fastest that this engine was seen to compute prompts: what is left of a prompt that is found is slow. */
  #prefillTokensPerSecond = 0;
  /** How often the engine has become idle. */
  #idleCount = 0;
  #isWorking = false;
  #isStopped = false;
  #settled: Promise<void> = Promise.resolve();

  constructor(options: PrefixKeeperOptions) {
    this.#options = options;
    options.prefixes.onWrong = (cached) => void this.#wrong.push(cached);
  }

  /** The engine has nothing to do. */
  onIdle(): void {
    this.#idleCount++;
    const { prefillTokensPerSecond } = this.#options.stats();
    this.#prefillTokensPerSecond = Math.max(this.#prefillTokensPerSecond, prefillTokensPerSecond);
    if (this.#isWorking || this.#isStopped) return;
    this.#isWorking = true;
    this.#settled = this.#options.gpuLock.shared(() => this.#workUntilDone());
  }

  /**
   * Deletes what is kept in its store, and takes nothing for hot that was asked before; what is asked later may be kept.
   * @returns the store's name, where it is open. @throws what the storage refuses with
   */
  async forget(): Promise<string | undefined> {
    this.#cool();
    const store = await this.#store;
    this.#cool();
    await store?.clear();
    return store?.name;
  }

  /** Resolves when the work under way has ended; never rejects. */
  get settled(): Promise<void> {
    return this.#settled;
  }

  /** Ends it after the block under way. */
  stop(): void {
    this.#isStopped = true;
    this.#options.prefixes.onWrong = () => {}; // nobody would take them
  }

  /** Takes nothing for hot that was asked before, and restores no more. */
  #cool(): void {
    this.#options.prefixes.cool();
    if (this.#pending !== undefined) this.#pending = [];
  }

  get #mayWork(): boolean {
    const { requestsRunning, requestsWaiting } = this.#options.stats();
    return !this.#isStopped && requestsRunning + requestsWaiting === 0;
  }

  async #workUntilDone(): Promise<void> {
    try {
      // Whatever has become hot while it worked is seen by another round.
      for (let seen = -1; seen !== this.#idleCount && this.#mayWork; ) {
        seen = this.#idleCount;
        await this.#work();
      }
    } catch (error) {
      if (!this.#isStopped) this.#options.log('info', `The prefix cache is not kept any more: ${String(error)}`);
      this.#isStopped = true;
    } finally {
      this.#isWorking = false;
    }
  }

  async #work(): Promise<void> {
    this.#store ??= this.#options.openStore(() => this.#cool());
    const store = await this.#store;
    if (store === undefined) return this.stop();
    this.#pending ??= [...store.inOrder()];
    for (const cached of this.#wrong.splice(0)) if (cached.cacheSalt === '') await store.drop(await this.#keyOf(cached));
    for (let block = this.#pending[0]; block !== undefined && this.#mayWork; block = this.#pending[0]) {
      this.#pending.shift();
      await this.#restore(store, block);
      if (this.#pending.length === 0 && this.#restored > 0 && !this.#isStopped) this.#report('restored');
    }
    if (this.#pending.length === 0 && this.#mayWork) await this.#keepHot(store);
  }

  async #restore(store: PrefixStore, block: KeptBlock): Promise<void> {
    const { prefixes, transfer, clock, gpuLock } = this.#options;
    const tokenIds = store.tokensThrough(block);
    if (tokenIds === undefined) return;
    const { numHolders, numHolds } = gpuLock;
    const startTime = clock();
    const bytes = await store.read(block);
    if (bytes === undefined || this.#isStopped) return;
    const writes: Promise<void>[] = [];
    const adoption = prefixes.adopt(tokenIds, (target) => writes.push(transfer.write(target, bytes)));
    if (adoption === 'full') this.#pending = [];
    if (adoption !== 'adopted') return;
    await Promise.all(writes);
    this.#restored++;
    // What others did meanwhile, such as a step of this engine's or of another model's, is not this block's time.
    if (numHolders > 1 || gpuLock.numHolds !== numHolds) return;
    this.#speed.record(block, clock() - startTime);
    if (this.#speed.isFasterThan(this.#prefillTokensPerSecond)) return;
    this.#report('restoring is slower than computing and ends; restored');
    this.#pending = [];
    this.stop();
  }

  async #keepHot(store: PrefixStore): Promise<void> {
    const { prefixes, transfer, log } = this.#options;
    let kept = 0;
    for (const { cached, ...block } of await this.#wanted(store)) {
      const prefillTokensPerSecond = this.#prefillTokensPerSecond;
      // Without a speed, nothing would tell whether restoring it is worth it.
      if (!this.#mayWork || prefillTokensPerSecond === 0) break;
      if (!prefixes.holds(cached) || !store.accepts(block)) continue;
      const bytes = await transfer.read(cached.block);
      if (!isHot(cached)) continue; // all that was kept has been deleted meanwhile, and this is not to come back
      const { tokenIds } = cached;
      if (await store.put({ ...block, tokenIds, prefillTokensPerSecond }, bytes)) kept++;
    }
    if (kept > 0) log('info', `Prefix cache: kept ${kept} more blocks in this browser's storage.`);
  }

  /** The hot blocks that are not kept, in the order of their sequences; those that are, are noted as used. */
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

/** How fast blocks were restored, and how fast those who kept them had computed prompts. */
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

  /** Also while there are too few blocks to tell. */
  isFasterThan(tokensPerSecond: number): boolean {
    if (this.#blocks < TRIAL_BLOCKS) return true;
    return this.tokensPerSecond >= Math.max(tokensPerSecond, this.computingTokensPerSecond);
  }
}
