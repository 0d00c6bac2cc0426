import { fileLost } from '../core/file-lost.ts';
import type { LogFrame } from '../core/frames.ts';
import type { BeginWait, LoadWait } from '../core/load-watch.ts';
import type { Locks } from '../core/locks.ts';
import type { LoadProgress } from '../core/progress.ts';
import type { HubSettings, ModelAccess, ModelSource } from '../core/protocol.ts';
import { askVersion } from './ask-version.ts';
import { blobSource } from '../core/byte-source.ts';
import type { ByteSource } from '../core/byte-source.ts';
import { keyName } from '../storage/cache-manifest.ts';
import { openCachedSource } from './cached-source.ts';
import type { CacheOptions } from './cached-source.ts';
import { checkStart } from './check-start.ts';
import { checkFileSize } from '../core/file-size.ts';
import { httpContext } from './http-request.ts';
import type { Credentials, HttpContext } from './http-request.ts';
import { openHttp } from './http-source.ts';
import { resolveHubFile } from './hub.ts';
import { modelName } from './model-name.ts';
import { hubEndpoint, resolveModelUrl } from './model-url.ts';
import type { ModelUrl } from './model-url.ts';
import type { ModelStorage } from '../storage/model-storage.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { opfsStorage } from '../storage/opfs-storage.ts';
import { DEFAULT_RETRIES, type RetryPolicy } from './retry.ts';
import { ProgressMeter } from './progress-meter.ts';
import { progressSource } from './progress-source.ts';
import { statedSha256 } from '../storage/remote-version.ts';
import type { StatedVersion } from '../storage/remote-version.ts';

export interface OpenOptions extends ModelAccess {
  /** The base of relative paths: the page's or the worker's URL. */
  readonly baseUrl: string;
  /** The limit of GPU memory for all models: a file that can never fit is refused. @default not known */
  readonly gpuMemoryBytes?: number | undefined;
  readonly onProgress: (progress: LoadProgress) => void;
  readonly log: (level: LogFrame['level'], message: string) => void;
  /** Reports waits. @default no reports */
  readonly beginWait?: BeginWait;
  /**
   * Resolves when the file is wanted. Until then nothing of it is stored, so a file that is refused by its header
   * leaves nothing.
   * @default wanted at once
   */
  readonly wanted?: Promise<void> | undefined;
  /** Ends the download; reads then reject with `aborted`. */
  readonly signal?: AbortSignal;
  /** @default the browser's; null stores nothing */
  readonly storage?: ModelStorage | null;
  /** The locks that keep two workers from fetching the same part. @default the browser's */
  readonly locks?: Locks | undefined;
  /** HTTP settings, for tests. */
  readonly http?: Partial<Pick<HttpContext, 'fetch' | 'retries' | 'idleTimeoutMs'>>;
  /** Milliseconds since 1970. @default Date.now */
  readonly now?: () => number;
  /** Bytes of a part, for tests. @default 8 MiB */
  readonly partBytes?: number;
}

/** The longest wait for a silent server before the stored model is used. */
const CHECK_TIMEOUT_MS = 4000;

/**
 * Opens a model's file, to be read once from front to back or in any order, one read after another.
 *
 * @throws TabserveError `invalid_request`, `model_not_found`, `access_denied`, `unsupported_model` (no GGUF file),
 *   `download_failed`, `storage_failed`, `out_of_memory` (its size alone is too much) or `aborted`; reads also
 *   `corrupt_model`, for a file whose SHA-256 is known
 */
export async function openSource(source: ModelSource, options: OpenOptions): Promise<ByteSource> {
  const { onProgress, log, now = Date.now, hub = {}, partBytes, cacheKey, signal, beginWait = () => () => {} } = options;
  const { gpuMemoryBytes, wanted } = options;
  onProgress({ stage: 'open', bytesDone: 0, bytesTotal: 0, bytesPerSecond: 0, secondsLeft: Infinity });
  const meter = new ProgressMeter(onProgress, now);
  if (typeof source !== 'string') {
    if (source.size === 0) throw fileLost(source.name); // browsers report a deleted file like this
    checkFileSize(source.name, source.size, gpuMemoryBytes);
    meter.total = source.size;
    return progressSource(blobSource(source, source.name), meter);
  }
  const endpoint = hubEndpoint(hub);
  const model = resolveModelUrl(source, options.baseUrl, endpoint);
  const warn = (message: string): void => log('warn', message);
  const { retries = DEFAULT_RETRIES } = options.http ?? {};
  const sleep: RetryPolicy['sleep'] = async (ms, until) => {
    const end = beginWait(nextTry(model.url));
    await retries.sleep(ms, until).finally(() => end(false)); // that time passes is no progress
  };
  const context = httpContext({
    ...options.http,
    retries: { ...retries, sleep },
    signal,
    log: warn,
    onWait: (url) => beginWait({ cause: 'network', what: `bytes of ${modelName(url)}: the server sends nothing` }),
    onBytes: (offset, length) => meter.count('download', offset, length),
    credentials: credentialsFor(endpoint, hub),
  });
  const locks: Locks | undefined = options.locks ?? (globalThis.navigator as Partial<Navigator> | undefined)?.locks;
  const remote = remoteSide(model, context);
  const keptAs = cacheKey === undefined ? undefined : keyName(cacheKey);
  const file = await openCachedSource({
    ...remote,
    name: keptAs ?? model.name,
    // A key may be given with another URL the next time, pinned or not.
    isPinned: model.isPinned && keptAs === undefined,
    // A file stored by a key does not record where it was fetched from.
    ...(keptAs === undefined ? {} : { openRemote: async () => ({ ...(await remote.openRemote()), id: keptAs }) }),
    now,
    log: warn,
    storage: options.storage === undefined ? browserStorage(warn) : (options.storage ?? undefined),
    oneAtATime: oneAtATime(locks, { signal, onWait: () => beginWait(otherDownload(model.url)) }),
    signal,
    wanted,
    budgetBytes: gpuMemoryBytes,
    ...(partBytes === undefined ? {} : { partBytes }),
  });
  meter.total = file.size;
  return progressSource(file, meter);
}

function nextTry(url: string): LoadWait {
  return { cause: 'network', what: `the next try to read ${modelName(url)}, which its server or the network has failed` };
}

function otherDownload(url: string): LoadWait {
  return { cause: 'network', what: `a part of ${modelName(url)} that another worker of this origin downloads` };
}

function browserStorage(warn: (message: string) => void): ModelStorage | undefined {
  const storage = opfsStorage();
  if (storage === undefined) {
    const why = 'This browser offers no storage for files here (an insecure address, or a private window)';
    warn(`${why}: the model is loaded through memory, and downloaded again at the next visit.`);
  }
  return storage;
}

function credentialsFor(endpoint: string, { token }: HubSettings): Credentials | undefined {
  return token === undefined ? undefined : { origin: new URL(endpoint).origin, token };
}

/**
 * The requests to the server: a hub is first asked for a name's commit, size and SHA-256, any other server only for the
 * file.
 */
function remoteSide({ url, name, hub }: ModelUrl, context: HttpContext): Pick<CacheOptions, 'openRemote' | 'checkVersion'> {
  const idleTimeoutMs = Math.min(context.idleTimeoutMs, CHECK_TIMEOUT_MS);
  const brief: HttpContext = { ...context, idleTimeoutMs, retries: { ...context.retries, attempts: 1 } };
  if (hub === undefined) {
    return {
      openRemote: () => openHttp(url, context, { checkStart: (start, type) => checkStart(name, start, type) }),
      checkVersion: () => askVersion(url, brief),
    };
  }
  return {
    openRemote: async (stored) => {
      const isKnown = stored !== undefined && statedSha256(stored.version) !== undefined;
      const pinned = isKnown ? stored : await resolveHubFile(hub, context);
      const options = { known: pinned.version, checkStart: (start: Uint8Array, type: string) => checkStart(name, start, type) };
      return openHttp(pinned.url, context, options);
    },
    checkVersion: async (): Promise<StatedVersion | undefined> => {
      try {
        return (await resolveHubFile(hub, brief)).version;
      } catch (error) {
        if (context.signal?.aborted === true) throw error;
        const why = error instanceof Error ? error.message : String(error);
        context.log(`Could not ask ${hub.endpoint} whether ${name} has changed: ${why} The stored version is used.`);
        return undefined;
      }
    },
  };
}
