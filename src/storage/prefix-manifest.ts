import { type PartStorage, removeKept, sweep } from './part-storage.ts';
import { sha256 } from './sha256.ts';

/** A KV block in storage: the key of its content, and its part. */
export interface KeptBlock {
  /** {@link prefixKey} of its tokens and of all before them. */
  readonly key: string;
  /** The key of the block before it; '' for the first of a sequence. */
  readonly parent: string;
  readonly tokenIds: readonly number[];
  readonly part: number;
  /** The SHA-256 of the part's bytes, in hexadecimal. */
  readonly sha256: string;
  /** Milliseconds since 1970. */
  readonly lastUsed: number;
  /** The prefill speed of the engine that stored it. */
  readonly prefillTokensPerSecond: number;
}

/** The blocks of one set: those that one model on one adapter can restore. */
export interface PrefixManifest {
  /** The set's key. */
  readonly url: string;
  readonly blockBytes: number;
  readonly blocks: readonly KeptBlock[];
  /** An id that is new whenever the set is deleted and started again. */
  readonly life?: string;
}

/** The key of a block's content. Blocks of different tokens, or after different tokens, have different keys. */
export function prefixKey(parent: string, tokenIds: readonly number[]): Promise<string> {
  return sha256(new TextEncoder().encode(`${parent} ${tokenIds.join()}`));
}

/** Deletes every set except those named: stores in use clear their own. */
export async function removeKeptPrefixes(storage: PartStorage<PrefixManifest>, except: readonly string[] = []): Promise<void> {
  for (const url of await storage.listUrls()) if (!except.includes(url)) await removeKept(storage, url);
  await sweep(storage, () => true);
}

/** Whether a value from the browser's storage, which may hold anything, is the manifest of a set. */
export function isPrefixManifest(value: Partial<PrefixManifest> | undefined): value is PrefixManifest {
  if (typeof value !== 'object' || value === null) return false;
  const { url, blockBytes, blocks } = value;
  if (typeof url !== 'string' || !Number.isSafeInteger(blockBytes) || !Array.isArray(blocks)) return false;
  return blocks.every(isKeptBlock);
}

function isKeptBlock(value: Partial<KeptBlock> | null): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { key, parent, tokenIds, part, lastUsed } = value;
  const isText = typeof key === 'string' && typeof parent === 'string' && typeof value.sha256 === 'string';
  return isText && Array.isArray(tokenIds) && Number.isSafeInteger(part) && typeof lastUsed === 'number';
}
