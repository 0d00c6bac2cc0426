import type { PartStorage } from './part-storage.ts';
import { sha256 } from './sha256.ts';

/** A KV block in storage: its content's name, and where its bytes are. */
export interface KeptBlock {
  /** {@link prefixKey} of its tokens and of all before them. */
  readonly key: string;
  /** The key of the block before it; '' for the first of a sequence. */
  readonly parent: string;
  readonly tokenIds: readonly number[];
  readonly part: number;
  /** Of the part's bytes, in hexadecimal. */
  readonly sha256: string;
  /** Milliseconds since 1970. */
  readonly lastUsed: number;
  /** How fast the engine that kept it computed prompts. */
  readonly prefillTokensPerSecond: number;
}

/** The blocks of one set: those that one model, on one adapter, can take back. */
export interface PrefixManifest {
  /** The set's name. */
  readonly url: string;
  readonly blockBytes: number;
  readonly blocks: readonly KeptBlock[];
}

export interface PrefixStoreOptions {
  readonly storage: PartStorage<PrefixManifest>;
  /** What all blocks of the set depend on, beside their tokens. */
  readonly name: string;
  /** Tokens a block. */
  readonly blockSize: number;
  readonly blockBytes: number;
  /** Over all sets. */
  readonly maxBytes: number;
  /** Told once if the storage refuses. */
  readonly log: (message: string) => void;
}

/** A name of a block's content: no two blocks of different tokens, or after different tokens, have the same. */
export function prefixKey(parent: string, tokenIds: readonly number[]): Promise<string> {
  return sha256(new TextEncoder().encode(`${parent} ${tokenIds.join()}`));
}

/**
 * KV blocks in the browser's storage, a part each. It never fails: what is damaged counts as absent, and a storage that
 * refuses once is left alone. Bounded by bytes: other sets go first, whole, the one used least recently before the rest;
 * then this one's blocks, least recently used first, and none before those that come after it.
 *
 * Only one engine of an origin has the GPU, and only it writes. Should two overlap for a moment, hashes tell what is whose.
 */
export class PrefixStore {
  readonly #options: PrefixStoreOptions;
  readonly #blocks = new Map<string, KeptBlock>();
  /** Other sets, the least recently used first. */
  #others: readonly PrefixManifest[] = [];
  #isUsable = true;
  /** The last thing done with the storage: one at a time. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(options: PrefixStoreOptions) {
    this.#options = options;
  }

  static async open(options: PrefixStoreOptions): Promise<PrefixStore> {
    const store = new PrefixStore(options);
    await store.#guard(() => store.#open());
    return store;
  }

  /** The set's. */
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

  /** All blocks: those used last first, but none before what comes before it. */
  inOrder(): readonly KeptBlock[] {
    const ordered = new Set<KeptBlock>();
    for (const block of [...this.#blocks.values()].toSorted((a, b) => b.lastUsed - a.lastUsed)) {
      for (const each of this.#chainTo(block) ?? []) ordered.add(each);
    }
    return [...ordered];
  }

  /** The tokens from the start of its sequence through a block; undefined where one before it is absent. */
  tokensThrough(block: KeptBlock): readonly number[] | undefined {
    return this.#chainTo(block)?.flatMap(({ tokenIds }) => tokenIds);
  }

  /** A block's KV; undefined where it is absent, which it is from now on, or where it is not the KV of its tokens. */
  async read(block: KeptBlock): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return this.#guard(async () => {
      const { storage, name, blockBytes } = this.#options;
      const bytes = await storage.readPart(name, block.part);
      const isWhole =
        bytes?.length === blockBytes &&
        (await sha256(bytes)) === block.sha256 &&
        (await prefixKey(block.parent, block.tokenIds)) === block.key;
      if (isWhole) return bytes;
      this.#blocks.delete(block.key);
      return undefined;
    });
  }

  /** Whether a block would be taken: it is new, the one before it is here, and there is room, or what can go for it. */
  accepts(block: Pick<KeptBlock, 'key' | 'parent' | 'lastUsed'>): boolean {
    if (!this.#isUsable || this.#blocks.has(block.key)) return false;
    if (block.parent !== '' && !this.#blocks.has(block.parent)) return false;
    return this.#roomFor(block) !== undefined;
  }

  /** Keeps a block; false where it is not taken. */
  async put(block: Omit<KeptBlock, 'part' | 'sha256'>, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
    const stored = await this.#guard(async () => {
      const room = this.accepts(block) ? this.#roomFor(block) : undefined;
      if (room === undefined) return false;
      const { storage, name } = this.#options;
      const hash = await sha256(bytes);
      for (const { url } of room.sets) await storage.remove(url);
      this.#others = this.#others.slice(room.sets.length);
      for (const { key } of room.blocks) this.#blocks.delete(key);
      const part = this.#freePart();
      // A part that takes another's place has the wrong hash until the manifest says so: absent, should that not come.
      await storage.writePart(name, part, bytes);
      this.#blocks.set(block.key, { ...block, part, sha256: hash });
      await this.#save();
      for (const gone of room.blocks) if (gone.part !== part) await storage.removePart(name, gone.part);
      return true;
    });
    return stored ?? false;
  }

  /** Notes that blocks were used. @param uses their keys, and when. */
  async touch(uses: ReadonlyMap<string, number>): Promise<void> {
    await this.#guard(async () => {
      let isChanged = false;
      for (const [key, lastUsed] of uses) {
        const block = this.#blocks.get(key);
        if (block === undefined || block.lastUsed >= lastUsed) continue;
        this.#blocks.set(key, { ...block, lastUsed });
        isChanged = true;
      }
      if (isChanged) await this.#save();
    });
  }

  /** Deletes a block that has turned out to be wrong, and all that come after it. */
  async drop(key: string): Promise<void> {
    await this.#guard(async () => {
      const comesAfter = (block: KeptBlock): boolean => this.#chainTo(block)?.some((each) => each.key === key) === true;
      const gone = [...this.#blocks.values()].filter(comesAfter);
      for (const block of gone) this.#blocks.delete(block.key);
      if (gone.length > 0) await this.#removed(gone);
    });
  }

  /** Deletes the set, after what is under way; what is put later begins it anew. @throws what the storage refuses with */
  async clear(): Promise<void> {
    const clearing = this.#last.then(async () => {
      this.#blocks.clear();
      this.#others = [];
      await this.#options.storage.remove(this.name);
    });
    this.#last = clearing.catch(() => {}); // told to who asked
    await clearing;
  }

  /** Makes what has been taken out of memory true in storage. */
  async #removed(gone: readonly KeptBlock[]): Promise<void> {
    const { storage, name } = this.#options;
    await this.#save();
    for (const { part } of gone) await storage.removePart(name, part);
  }

  async #open(): Promise<void> {
    const { storage, name } = this.#options;
    const stored = await storage.readManifest(name);
    for (const block of this.#isOurs(stored) ? stored.blocks : []) this.#blocks.set(block.key, block);
    const all = await storage.listManifests();
    const lastUse = ({ blocks }: PrefixManifest): number => Math.max(0, ...blocks.map(({ lastUsed }) => lastUsed));
    this.#others = all.filter(({ url }) => url !== name).toSorted((a, b) => lastUse(a) - lastUse(b));
    // What nobody can reach, and what is over the limit where that was lowered.
    const lost = [...this.#blocks.values()].filter((block) => this.#chainTo(block) === undefined);
    for (const { key } of lost) this.#blocks.delete(key);
    const over = this.#roomFor({ parent: '', lastUsed: Infinity }, 0) ?? { sets: [], blocks: [] };
    for (const { url } of over.sets) await storage.remove(url);
    this.#others = this.#others.slice(over.sets.length);
    for (const { key } of over.blocks) this.#blocks.delete(key);
    const gone = [...lost, ...over.blocks];
    if (gone.length > 0) await this.#removed(gone);
  }

  #isOurs(manifest: PrefixManifest | undefined): manifest is PrefixManifest {
    const { name, blockBytes, blockSize } = this.#options;
    if (manifest === undefined || manifest.url !== name || manifest.blockBytes !== blockBytes) return false;
    return manifest.blocks.every(({ tokenIds }) => tokenIds.length === blockSize);
  }

  /** What has to go for `numBytes` more: a block that is less recently used, nor before it. Undefined: not enough can. */
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
    return storage.updateManifest(name, () => ({ url: name, blockBytes, blocks: [...this.#blocks.values()] }));
  }

  /** Does what takes the storage, after what is under way; undefined where that has refused. */
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
        this.#options.log(`This browser's storage refused the prefix cache (${String(error)}); it is left alone.`);
      }
      this.#isUsable = false;
      return undefined;
    }
  }
}

/** Deletes every set, but for those named: stores that are in use clear their own. */
export async function removeKeptPrefixes(storage: PartStorage<PrefixManifest>, except: readonly string[] = []): Promise<void> {
  for (const { url } of await storage.listManifests()) if (!except.includes(url)) await storage.remove(url);
}
