import type { ByteSource } from '../core/byte-source.ts';
import { sha256 } from '../storage/sha256.ts';

/** A source that hashes what it has read. */
export interface IdentifiedSource extends ByteSource {
  /** A hash of all that has been read, which identifies the file; undefined where it could not be computed. */
  identity(): Promise<string | undefined>;
}

/**
 * Hashes a file while it is read. A model loads by reading its header and every tensor, so at its end the hash
 * identifies it, whatever its name, its server's ETag or its date. Two files with the same header and other weights
 * (two checkpoints of one training) differ. WebCrypto hashes on another thread, one read at a time.
 */
export function identifiedSource(source: ByteSource): IdentifiedSource {
  const hashes = new Map<string, string>();
  let isWhole = true;
  let hashing = Promise.resolve();
  return {
    id: source.id,
    size: source.size,
    async read(offset, length) {
      const bytes = await source.read(offset, length);
      await hashing;
      hashing = sha256(bytes).then(
        (hash) => void hashes.set(`${offset} ${length}`, hash),
        () => void (isWhole = false),
      );
      return bytes;
    },
    async identity() {
      await hashing;
      const text = [source.size, ...[...hashes].map((each) => each.join(' ')).toSorted()].join('\n');
      return isWhole ? sha256(new TextEncoder().encode(text)) : undefined;
    },
  };
}
