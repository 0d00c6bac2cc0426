import { lockUrl, type PartStorage, removeKept, sweep } from './part-storage.ts';
import { isPrefixManifest, type KeptBlock, prefixKey, type PrefixManifest } from './prefix-manifest.ts';
import { sha256 } from './sha256.ts';

export interface PrefixStoreOptions {
  readonly storage: PartStorage<PrefixManifest>;
  /** A name of everything that the blocks of the set depend on beside their tokens. */
  readonly name: string;
  /** Tokens in a block. */
  readonly blockSize: number;
  readonly blockBytes: number;
  /** The limit of all sets together. */
  readonly maxBytes: number;
  /** Called when another engine has deleted the set: earlier requests must not store blocks. @default no call */
  readonly onDeleted?: () => void;
  /** Called once if the storage refuses. */
  readonly log: (message: string) => void;
}

/**
 * KV blocks in the browser's storage, one part each. It never fails: a damaged block counts as absent, and storage that
 * refuses once is not used again. Its bytes are bounded. Other sets are evicted first, whole, the least recently used
 * first; then blocks of this set, the least recently used first, and none before those that come after it.
 *
 * Only one engine of an origin has the GPU, but one that has just lost it may still write, and any engine may delete.
 * The set is changed under its lock, based on its stored state at that time. Its `life` shows whether it was deleted.
 */
export class PrefixStore {
  readonly #options: PrefixStoreOptions;
  readonly #blocks = new Map<string, KeptBlock>();
  /** Other sets, the least recently used first. */
  #others: readonly PrefixManifest[] = [];
  #isUsable = true;
  #life: string | undefined;
  /** The last operation on the storage, so that one runs at a time. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(options: PrefixStoreOptions) {
    this.#options = options;
  }

  static async open(options: PrefixStoreOptions): Promise<PrefixStore> {
    const store = new PrefixStore(options);
    await store.#guard(() => store.#open());
    return store;
  }

  /** The set's name. */
  get name(): string {
    return this.#options.name;
  }

  /** Whether the storage has not refused yet. */
  get isUsable(): boolean {
    return this.#isUsable;
  }

  get(key: string): KeptBlock | undefined {
    return this.#blocks.get(key);
  }

  /** All blocks: the last used first, but none before its predecessor. */
  inOrder(): readonly KeptBlock[] {
    const ordered = new Set<KeptBlock>();
    for (const block of [...this.#blocks.values()].toSorted((a, b) => b.lastUsed - a.lastUsed)) {
      for (const each of this.#chainTo(block) ?? []) ordered.add(each);
    }
    return [...ordered];
  }

  /** The tokens from the start of its sequence through a block; undefined where a block before it is absent. */
  tokensThrough(block: KeptBlock): readonly number[] | undefined {
    return this.#chainTo(block)?.flatMap(({ tokenIds }) => tokenIds);
  }

  /** A block's KV; undefined where it is absent or damaged. A damaged block counts as absent from then on. */
  async read(block: KeptBlock): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return this.#guard(async () => {
      const { storage, name, blockBytes } = this.#options;
      const bytes = await storage.readPart(name, block.part);
      const isWhole =
        bytes?.length === blockBytes &&
        (await sha256(bytes)) === block.sha256 &&
        (await prefixKey(block.parent, block.tokenIds)) === block.key;
      if (isWhole) return bytes;
      await this.#change(async () => {
        if (this.#blocks.get(block.key)?.sha256 !== block.sha256) return; // another engine has stored it again
        this.#blocks.delete(block.key);
        await this.#removed([block]);
      });
    });
  }

  /** Whether a block would be stored: it is new, its predecessor is stored, and there is space or can be made. */
  accepts(block: Pick<KeptBlock, 'key' | 'parent' | 'lastUsed'>): boolean {
    if (!this.#isUsable || this.#blocks.has(block.key)) return false;
    if (block.parent !== '' && !this.#blocks.has(block.parent)) return false;
    return this.#roomFor(block) !== undefined;
  }

  /** Stores a block; false where it is not stored. */
  async put(block: Omit<KeptBlock, 'part' | 'sha256'>, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
    const stored = await this.#guard(async () => {
      const room = this.accepts(block) ? this.#roomFor(block) : undefined;
      if (room === undefined) return false;
      const { storage, name } = this.#options;
      const hash = await sha256(bytes);
      for (const { url } of room.sets) await removeKept(storage, url);
      this.#others = this.#others.slice(room.sets.length);
      return this.#change(async () => {
        if (block.parent !== '' && !this.#blocks.has(block.parent)) return false; // another engine has evicted its predecessor
        for (const { key } of room.blocks) this.#blocks.delete(key);
        const part = this.#freePart();
        // A replaced part has the wrong hash until the manifest is updated: if that fails, it counts as absent.
        await storage.writePart(name, part, bytes);
        this.#blocks.set(block.key, { ...block, part, sha256: hash });
        await this.#save();
        for (const gone of room.blocks) if (gone.part !== part) await storage.removePart(name, gone.part);
        return true;
      });
    });
    return stored ?? false;
  }

  /** Records that blocks were used. @param uses their keys and the times. */
  async touch(uses: ReadonlyMap<string, number>): Promise<void> {
    await this.#guard(() => this.#change(async () => {
      let isChanged = false;
      for (const [key, lastUsed] of uses) {
        const block = this.#blocks.get(key);
        if (block === undefined || block.lastUsed >= lastUsed) continue;
        this.#blocks.set(key, { ...block, lastUsed });
        isChanged = true;
      }
      if (isChanged) await this.#save();
    }));
  }

  /** Deletes a block that turned out to be wrong, and all that come after it. */
  async drop(key: string): Promise<void> {
    await this.#guard(() => this.#change(async () => {
      const comesAfter = (block: KeptBlock): boolean => this.#chainTo(block)?.some((each) => each.key === key) === true;
      const gone = [...this.#blocks.values()].filter(comesAfter);
      for (const block of gone) this.#blocks.delete(block.key);
      if (gone.length > 0) await this.#removed(gone);
    }));
  }

  /** Deletes the set, after pending operations, and starts it anew. @throws the storage's error */
  async clear(): Promise<void> {
    const clearing = this.#last.then(async () => {
      this.#blocks.clear();
      this.#others = [];
      await removeKept(this.#options.storage, this.name);
      await this.#begin();
    });
    this.#last = clearing.catch(() => {}); // reported to the caller
    await clearing;
  }

  /** Deletes from storage the blocks that have been removed from memory. */
  async #removed(gone: readonly KeptBlock[]): Promise<void> {
    const { storage, name } = this.#options;
    await this.#save();
    for (const { part } of gone) await storage.removePart(name, part);
  }

  async #open(): Promise<void> {
    const { storage, name } = this.#options;
    await sweep(storage, (manifest, url) => isPrefixManifest(manifest) && manifest.url === url);
    const stored = await storage.readManifest(name);
    if (this.#isOurs(stored)) this.#take(stored);
    else await this.#begin();
    const all = await storage.listManifests();
    const lastUse = ({ blocks }: PrefixManifest): number => Math.max(0, ...blocks.map(({ lastUsed }) => lastUsed));
    this.#others = all.filter(({ url }) => url !== name).toSorted((a, b) => lastUse(a) - lastUse(b));
    // Unreachable blocks, and blocks over the limit if it was lowered.
    const lost = [...this.#blocks.values()].filter((block) => this.#chainTo(block) === undefined);
    for (const { key } of lost) this.#blocks.delete(key);
    const over = this.#roomFor({ parent: '', lastUsed: Infinity }, 0) ?? { sets: [], blocks: [] };
    for (const { url } of over.sets) await removeKept(storage, url);
    this.#others = this.#others.slice(over.sets.length);
    const gone = [...lost, ...over.blocks];
    if (gone.length === 0) return;
    await this.#change(async () => {
      for (const { key } of gone) this.#blocks.delete(key);
      await this.#removed(gone);
    });
  }

  /** Changes the set as stored by now. Undefined where another engine has deleted it: then it is started anew. */
  async #change<T>(work: () => Promise<T>): Promise<T | undefined> {
    const { storage, name, onDeleted = () => {} } = this.#options;
    return lockUrl(storage, name, async () => {
      const stored = await storage.readManifest(name);
      if (this.#isOurs(stored) && stored.life === this.#life) {
        this.#take(stored);
        return work();
      }
      onDeleted();
      this.#blocks.clear();
      if (this.#isOurs(stored)) this.#take(stored);
      else await this.#begin();
      return undefined;
    });
  }

  /** An empty set is stored too, so that its absence shows that it has been deleted. */
  async #begin(): Promise<void> {
    this.#life = crypto.randomUUID();
    await this.#save();
  }

  #take({ blocks, life }: PrefixManifest): void {
    this.#life = life;
    this.#blocks.clear();
    for (const block of blocks) this.#blocks.set(block.key, block);
  }

  #isOurs(manifest: PrefixManifest | undefined): manifest is PrefixManifest {
    const { name, blockBytes, blockSize } = this.#options;
    if (!isPrefixManifest(manifest) || manifest.url !== name || manifest.blockBytes !== blockBytes) return false;
    return manifest.blocks.every(({ tokenIds }) => tokenIds.length === blockSize);
  }

  /** The sets and blocks to evict for `numBytes` more; undefined where not enough can be. `block`'s predecessors stay. */
  #roomFor(
    block: Pick<KeptBlock, 'parent' | 'lastUsed'>,
    numBytes = this.#options.blockBytes,
  ): { sets: readonly PrefixManifest[]; blocks: readonly KeptBlock[] } | undefined {
    const { blockBytes, maxBytes } = this.#options;
    const bytesOf = (set: PrefixManifest): number => set.blocks.length * set.blockBytes;
    let bytes = numBytes + this.#blocks.size * blockBytes + this.#others.reduce((sum, set) => sum + bytesOf(set), 0);
    const sets: PrefixManifest[] = [];
    for (const set of this.#others) {
      if (bytes <= maxBytes) break;
      sets.push(set);
      bytes -= bytesOf(set);
    }
    const parent = this.#blocks.get(block.parent);
    const kept = new Set(parent === undefined ? [] : this.#chainTo(parent));
    const left = new Set(this.#blocks.values());
    const blocks: KeptBlock[] = [];
    while (bytes > maxBytes) {
      const inner = new Set([...left].map((each) => each.parent));
      const leaves = [...left].filter((each) => !inner.has(each.key) && !kept.has(each));
      const oldest = leaves.toSorted((a, b) => a.lastUsed - b.lastUsed)[0];
      if (oldest === undefined || oldest.lastUsed >= block.lastUsed) return undefined;
      left.delete(oldest);
      blocks.push(oldest);
      bytes -= blockBytes;
    }
    return { sets, blocks };
  }

  /** A block and all before it, in the order of their sequence; undefined where one is absent. */
  #chainTo(last: KeptBlock): readonly KeptBlock[] | undefined {
    const chain = [last];
    for (let { parent } = last; parent !== ''; ) {
      const block = this.#blocks.get(parent);
      if (block === undefined || chain.length > this.#blocks.size) return undefined;
      chain.push(block);
      ({ parent } = block);
    }
    return chain.toReversed();
  }

  #freePart(): number {
    const taken = new Set([...this.#blocks.values()].map(({ part }) => part));
    let part = 0;
    while (taken.has(part)) part++;
    return part;
  }

  #save(): Promise<void> {
    const { storage, name, blockBytes } = this.#options;
    const life = this.#life && { life: this.#life };
    return storage.updateManifest(name, () => ({ url: name, blockBytes, blocks: [...this.#blocks.values()], ...life }));
  }

  /** Runs an operation on the storage after pending ones; undefined where storage has refused. */
  #guard<T>(work: () => Promise<T>): Promise<T | undefined> {
    const done = this.#last.then(() => this.#attempt(work));
    this.#last = done;
    return done;
  }

  async #attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (!this.#isUsable) return undefined;
    try {
      return await work();
    } catch (error) {
      if (this.#isUsable) {
        this.#options.log(`This browser's storage refused the prefix cache (${String(error)}); it is not used any more.`);
      }
      this.#isUsable = false;
      return undefined;
    }
  }
}
