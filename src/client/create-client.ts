import { TabserveError, toTabserveError } from '../core/errors.ts';
import { checkLoadSettings, type LoadSettings, settingsOf } from '../core/load-settings.ts';
import type { LoadProgress } from '../core/progress.ts';
import type { LoadOptions, ModelAccess, ModelSource } from '../core/protocol.ts';
import { MAX_KEY_CHARS } from '../core/request.ts';
import type { EngineStatus } from '../core/status.ts';
import { untilAborted } from '../core/until-aborted.ts';
import { abortedError, checkSignal, onAbort } from './abort.ts';
import { Client } from './client.ts';
import type { LogLine } from './client.ts';
import { ClientSession } from './session.ts';
import { MODULE_URL } from './engine-worker.ts';
import { checkCacheKey, checkModelSource, modelAddress } from './model-source.ts';
import { settingsConflict } from './settings-conflict.ts';
import { checkOwnership, openWithFallback } from './ownership.ts';
import type { Ownership } from './ownership.ts';
import { DENIED_SENTENCE, requireSupport } from './support.ts';
import type { Transport } from './transport.ts';
import { resolveWorkerUrl } from './worker-script.ts';
import type { ScriptAddress } from './worker-script.ts';

/** The options of {@link createClient}; only `model` is required. */
export interface ClientOptions extends LoadSettings, ModelAccess, Pick<LoadOptions, 'requireChat'> {
  /** A GGUF: `https:` or `hf:owner/repo/file.gguf[@revision]` URL, a path on this origin, or a `File`. */
  readonly model: ModelSource;
  /** Called as loading goes on; first with where it stands, when another tab has begun it. */
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Called for each line of the engine's log. @default warnings and errors go to the console */
  readonly onLog?: ((line: LogLine) => void) | undefined;
  /**
   * Called when the engine is lost, at each try to have it back, and when it is back; requests live on meanwhile. Also when
   * a load has made no progress for 10 s, with what it waits for, and when it goes on.
   */
  readonly onStatus?: ((status: EngineStatus) => void) | undefined;
  /** Where the engine runs. All tabs of an origin should say the same. @default the first that works here */
  readonly ownership?: Ownership | undefined;
  /**
   * Where the worker's script is, on the page's own origin: for bundlers that do not resolve it themselves, such as
   * esbuild, whose users copy `node_modules/tabserve/dist/engine-worker.js` beside their page; and for pages that require
   * Trusted Types, whose policy makes the address. All tabs of an origin should say the same. @default where the bundler
   * put it, or beside the package's own module
   */
  readonly workerUrl?: string | ScriptAddress | undefined;
  /**
   * Clients share the KV of prompts that begin alike only where their salts are the same. A text that nobody else knows, as
   * of `crypto.randomUUID()`, keeps this client's prompts apart from all others': no tab can tell from the time of its first
   * token, or from `metrics()`, what this one has asked. It holds for each request that gives no `tabserve.cache_salt` of its
   * own; nothing of such requests is kept in storage. @default all clients without one share
   */
  readonly cacheSalt?: string | undefined;
  /** Aborting it gives up the load, unless another tab waits for it too. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Loads a model into the origin's engine, or joins the tab that has, and resolves when it is ready.
 *
 * @throws TabserveError `invalid_request` (no model is named, or the worker cannot be started: `param` says),
 *   `webgpu_unavailable`, `model_busy` (models that other tabs are using leave no room for this one), `model_not_found`,
 *   `access_denied`, `unsupported_model`, `unsupported_tensor`, `corrupt_model`, `download_failed`, `storage_failed`,
 *   `out_of_memory`, `wrong_results` (of the GPU), `device_lost`, `aborted` (by the signal)
 */
export async function createClient(options: ClientOptions): Promise<Client> {
  try {
    return await openClient(options);
  } catch (error) {
    throw deniedOr(error);
  }
}

async function openClient(options: ClientOptions): Promise<Client> {
  checkOptions(options);
  await requireSupport();
  const { signal, ownership } = options;
  const { locks } = navigator;
  const script = resolveWorkerUrl(options.workerUrl, {
    origin: location.origin,
    baseUrl: document.baseURI,
    moduleUrl: MODULE_URL,
  });
  const open = (transport: Transport): Promise<ClientSession> => openUnlessAborted(transport, signal, options);
  return createClientOn(await openWithFallback(open, locks, ownership, script), options);
}

/** {@link createClient} on a session that is open. */
export async function createClientOn(session: ClientSession, options: ClientOptions): Promise<Client> {
  session.listeners.onLog = options.onLog ?? logToConsole;
  session.listeners.onStatus = options.onStatus ?? (() => {});
  const { model, requireChat, onProgress = () => {} } = options;
  const settings = settingsOf(options);
  try {
    const loading = modelAddress(options, document.baseURI).then((address) => {
      return session.load({ ...settings, ...address, requireChat }, onProgress);
    });
    const info = await untilAborted(loading, options.signal, undefined, abortedError);
    const message = settingsConflict(settings, info.settings);
    if (message !== undefined) session.listeners.warn(message);
    const names = [info.id, typeof model === 'string' ? model : model.name];
    return new Client(session, info, [...new Set(names)], options.cacheSalt);
  } catch (error) {
    const failure = toTabserveError(error);
    await session.close(failure);
    throw failure;
  }
}

/** Opens a session, unless the caller has had enough. */
export async function openUnlessAborted(
  transport: Transport,
  signal: AbortSignal | undefined,
  { onLog = logToConsole, onStatus }: Pick<ClientOptions, 'onLog' | 'onStatus'> = {},
): Promise<ClientSession> {
  const opened = new AbortController();
  const giveUp = new AbortController();
  onAbort(signal, opened.signal, () => giveUp.abort(abortedError(signal?.reason)));
  try {
    return await ClientSession.open(transport, navigator.locks, giveUp.signal, { onLog, onStatus });
  } catch (error) {
    transport.close(); // it may have begun to look for the engine
    throw error;
  } finally {
    opened.abort();
  }
}

/** Callers without types may pass anything. */
function checkOptions(options: Partial<ClientOptions> | undefined): void {
  checkCacheKey(options?.cacheKey, checkModelSource(options?.model));
  checkOwnership(options?.ownership);
  checkSignal(options?.signal);
  checkLoadSettings(options ?? {});
  checkCacheSalt(options?.cacheSalt);
}

function checkCacheSalt(value: unknown): void {
  if (value === undefined || (typeof value === 'string' && value !== '' && value.length <= MAX_KEY_CHARS)) return;
  const message = `cacheSalt must be a text of 1 to ${MAX_KEY_CHARS} characters; leave it out to share prefixes with other clients.`;
  throw new TabserveError('invalid_request', message, { param: 'cacheSalt' });
}

/** The browser's refusal of this page, with a remedy; any other error as a {@link TabserveError}. */
function deniedOr(error: unknown): TabserveError {
  const failure = toTabserveError(error);
  const { code, cause } = failure;
  if (code !== 'internal' || !(cause instanceof DOMException && cause.name === 'SecurityError')) return failure;
  const message = `The browser denies this page what it takes to run a model: ${cause.message} ${DENIED_SENTENCE}`;
  return new TabserveError('webgpu_unavailable', message, { cause });
}

function logToConsole({ level, message }: LogLine): void {
  // oxlint-disable-next-line no-console -- nobody listens, and the worker's own console is out of sight
  if (level !== 'info') console[level](`tabserve: ${message}`);
}
