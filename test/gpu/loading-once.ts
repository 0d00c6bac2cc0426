import type { HubSettings } from '../../src/core/protocol.ts';
import { openSource } from '../../src/download/open-source.ts';
import { firstDifference, seededFile } from '../unit/download/seeded-bytes.ts';

export const PART = 65_536;
/** Six parts, the last one short. */
export const SIZE = 5 * PART + 4321;

/** What a load told, and how long it was made to wait. */
export interface Told {
  readonly lines: string[];
  readonly waits: number[];
}

export interface LoadSetup {
  readonly seed?: number;
  readonly hub?: HubSettings;
  readonly idleTimeoutMs?: number;
  readonly attempts?: number;
  /** Bytes to read. @default all */
  readonly until?: number;
}

/**
 * Loads the whole in small parts, without waiting where it should. For a page or a worker.
 *
 * @throws Error where it is not the file that it should be, or what loading throws
 */
export async function loadFrom(
  endpoint: string,
  name: string,
  { seed = 1, hub = {}, idleTimeoutMs = 30_000, attempts = 12, until = SIZE }: LoadSetup,
  onRead: (bytesRead: number) => void = () => {},
): Promise<Told> {
  const told: Told = { lines: [], waits: [] };
  const sleep = async (ms: number): Promise<void> => void told.waits.push(ms);
  const source = await openSource(name, {
    baseUrl: location.href,
    hub: { endpoint, ...hub },
    onProgress: () => {},
    log: (_level, message) => told.lines.push(message),
    partBytes: PART,
    http: { idleTimeoutMs, retries: { attempts, firstDelayMs: 500, maxDelayMs: 10_000, sleep } },
  });
  const all = new Uint8Array(source.size);
  const end = Math.min(until, source.size);
  for (let at = 0; at < end; at += 50_000) {
    all.set(await source.read(at, Math.min(50_000, end - at)), at);
    onRead(Math.min(at + 50_000, end));
  }
  const difference = firstDifference(all, seededFile(SIZE, seed));
  if (difference >= 0 && difference < until) throw new Error(`the file is another one at byte ${difference}`);
  return told;
}
