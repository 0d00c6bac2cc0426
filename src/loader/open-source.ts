import type { LogFrame } from '../core/frames.ts';
import type { LoadProgress } from '../core/progress.ts';
import type { ModelSource } from '../core/protocol.ts';
import { blobSource } from './byte-source.ts';
import type { ByteSource } from './byte-source.ts';
import { openCachedSource } from './cache.ts';
import { httpContext } from './http-request.ts';
import type { HttpContext } from './http-request.ts';
import { headVersion, openHttp } from './http-source.ts';
import { resolveModelUrl } from './model-url.ts';
import type { ModelStorage } from './model-storage.ts';
import { opfsStorage } from './opfs-storage.ts';
import { ProgressMeter } from './progress-meter.ts';
import { progressSource } from './progress-source.ts';

export interface OpenOptions {
  /** What a path is relative to: the page's or the worker's URL. */
  readonly baseUrl: string;
  readonly onProgress: (progress: LoadProgress) => void;
  readonly log: (level: LogFrame['level'], message: string) => void;
  /** Ends the download; reads then reject with `aborted`. */
  readonly signal?: AbortSignal;
  /** @default the browser's; null keeps nothing */
  readonly storage?: ModelStorage | null;
  /** How files are fetched, for tests. */
  readonly http?: Partial<Pick<HttpContext, 'fetch' | 'retries' | 'idleTimeoutMs'>>;
  /** Milliseconds since 1970. @default Date.now */
  readonly now?: () => number;
}

/** A stored model is used without waiting for long on a server that does not answer. */
const CHECK_TIMEOUT_MS = 4000;

/**
 * Opens a model's file, to be read once from front to back or in any order, one read after another.
 *
 * @throws TabserveError `invalid_request`, `model_not_found`, `download_failed`, `storage_failed` or `aborted`
 */
export async function openSource(source: ModelSource, options: OpenOptions): Promise<ByteSource> {
  const { onProgress, log, now = Date.now } = options;
  onProgress({ stage: 'open', bytesDone: 0, bytesTotal: 0, bytesPerSecond: 0, secondsLeft: Infinity });
  const meter = new ProgressMeter(onProgress, now);
  if (typeof source !== 'string') {
    meter.total = source.size;
    return progressSource(blobSource(source, source.name), meter);
  }
  const { url, isPinned } = resolveModelUrl(source, options.baseUrl);
  const warn = (message: string): void => log('warn', message);
  const context = httpContext({
    ...options.http,
    signal: options.signal,
    log: warn,
    onBytes: (offset, length) => meter.count('download', offset, length),
  });
  const idleTimeoutMs = Math.min(context.idleTimeoutMs, CHECK_TIMEOUT_MS);
  const file = await openCachedSource({
    url,
    isPinned,
    now,
    log: warn,
    storage: options.storage === undefined ? opfsStorage() : (options.storage ?? undefined),
    openRemote: () => openHttp(url, context),
    checkVersion: () => headVersion(url, { ...context, idleTimeoutMs }),
  });
  meter.total = file.size;
  return progressSource(file, meter);
}
