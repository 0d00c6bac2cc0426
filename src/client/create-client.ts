import { defined } from '../core/defined.ts';
import { TabserveError, toTabserveError } from '../core/errors.ts';
import type { KvCacheDtype } from '../core/kv-cache-dtype.ts';
import { checkLoadSettings } from '../core/load-settings.ts';
import type { Numerics } from '../core/numerics.ts';
import type { LoadProgress } from '../core/progress.ts';
import type { HubSettings, LoadSettings, ModelSource, PersistPrefixCache } from '../core/protocol.ts';
import { MAX_KEY_CHARS } from '../core/request.ts';
import type { EngineStatus } from '../core/status.ts';
import type { Tuning } from '../core/tuning.ts';
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

/** What {@link createClient} takes; only `model` is required. */
export interface ClientOptions {
  /** A GGUF: `https:` or `hf:owner/repo/file.gguf[@revision]` URL, a path on this origin, or a `File`. */
  readonly model: ModelSource;
  /**
   * A name of your own for the file behind a URL: it is kept, and shared by tabs, under this name whatever the URL is. For
   * URLs that change and are still of one file; signatures of S3, R2, Google Cloud Storage, CloudFront and Azure need
   * none. What its server says of size, ETag and date still tells a new version. Not of a `File`. @default the URL, without
   * signature
   */
  readonly cacheKey?: string | undefined;
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
   * Bytes of GPU memory for the KV cache, which the conversations of all tabs share. `auto` has room for four of 8,192
   * tokens, or of the model's context or `maxModelLen` where that is less, and for more short ones; within a quarter of
   * `gpuMemoryBytes`, and on a software adapter within 256 MiB; but always for one of 4,096 tokens. Where the GPU, or the weights and other models,
   * leave less than that, or than the number that is given, the cache is smaller. The log and `client.model`
   * (`maxModelLen`, `contextCut`, `kvCacheBytes`, `kvCacheCut`) say what was cut and why; docs/memory.md says what models
   * get. The first tab's choice holds. @default auto
   */
  readonly kvCacheBytes?: number | 'auto' | undefined;
  /**
   * Bytes of GPU memory that all loaded models may take together, this one included. What does not fit alone is refused
   * with `out_of_memory` before it is downloaded; beside others, models that have nothing to do make room. @default the
   * memory that the browser admits to (`navigator.deviceMemory`), 16 GiB where it tells 8 or nothing
   */
  readonly gpuMemoryBytes?: number | undefined;
  /**
   * What the KV cache's elements are held as: `f16` holds twice the tokens, `int8` nearly four times; both move the logits
   * (see shaders/README.md). The first tab's choice holds. @default f32
   */
  readonly kvCacheDtype?: KvCacheDtype | undefined;
  /**
   * What products of weights and activations are computed in: `dp4a` rounds activations to 8 bits, `f16` to half floats, and
   * both move the logits (see shaders/README.md). `invalid_request` where the GPU has no such products. The first tab's
   * choice holds. @default f32
   */
  readonly numerics?: Numerics | undefined;
  /**
   * Tokens a conversation may have; at most the model's own. It is never lowered: where the KV cache cannot hold it, loading
   * fails with `invalid_request` or `out_of_memory`. The first tab's choice holds. @default the model's own, within the KV cache
   */
  readonly maxModelLen?: number | undefined;
  /**
   * Keeps the KV of prompts that are asked again in the browser's storage (OPFS), so that they need not be computed
   * after a reload where reading them is faster. Text of prompts and answers ends up on disk, as token ids; never that
   * of requests with a `cache_salt`. `true` is up to 64 MiB, over all models. Each client decides for its own requests: they
   * are kept only if it allows that, and a prefix that several ask for only by requests of those that allow it. Whether a
   * loaded model has a place to keep them, and of what size, is the first tab's choice. `false` deletes all that was kept
   * for the origin, of all models and tabs, also while the model is loaded; what tabs with `true` ask later may be kept
   * again. @default nothing of this client's is kept, and nothing deleted
   */
  readonly persistPrefixCache?: PersistPrefixCache | undefined;
  /**
   * Clients share the KV of prompts that begin alike only where their salts are the same. A text that nobody else knows, as
   * of `crypto.randomUUID()`, keeps this client's prompts apart from all others': no tab can tell from the time of its first
   * token, or from `metrics()`, what this one has asked. It holds for each request that gives no `tabserve.cache_salt` of its
   * own; nothing of such requests is kept in storage. @default all clients without one share
   */
  readonly cacheSalt?: string | undefined;
  /**
   * Whether kernels are fitted to this adapter by trials of their variants, while there is no request; no answer depends on it.
   * `auto` tries kernels not known from an earlier load, within 2 s of GPU time, and none on a software adapter; `off` runs
   * no trials and looks up no earlier ones; `force` tries all kernels anew, however long it takes. See `metrics().tuning`.
   * The first tab's choice holds. @default auto
   */
  readonly tuning?: Tuning | undefined;
  /**
   * A chat template in place of the file's, or of one that it does not have: Jinja source, of 65,536 characters at most. The
   * first tab's choice holds; the log says where that is another one. @default the file's
   */
  readonly chatTemplate?: string | undefined;
  /**
   * Refuses a model that has no chat template with `unsupported_model`, as soon as its header is read: before its weights
   * are downloaded, and before other models make room for it. @default false: `client.model.chatTemplate` is `none`, chats
   * are refused, and `client.completions` continues texts
   */
  readonly requireChat?: boolean | undefined;
  /**
   * Where `hf:` names are looked up: a mirror's address as `endpoint`, and a `token` for private and gated models. The token
   * is this tab's: it is never stored, logged or told to another tab. @default https://huggingface.co, without a token
   */
  readonly hub?: HubSettings | undefined;
  /** Aborting it gives up the load, unless another tab waits for it too. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Loads a model into the origin's engine, or joins the tab that has, and resolves when it is ready.
 *
 * @throws TabserveError `invalid_request` (no model is named, or the worker cannot be started: `param` says),
 *   `webgpu_unavailable`, `model_busy` (models that other tabs are using leave no room for this one), `model_not_found`,
 *   `access_denied`, `unsupported_model`, `unsupported_tensor`, `corrupt_model`, `download_failed`, `storage_failed`,
 *   `out_of_memory`, `device_lost`, `aborted` (by the signal)
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
  const settings = loadSettings(options);
  try {
    const loading = modelAddress(options, document.baseURI).then((address) => {
      const wanted = { ...settings, ...address, ...(requireChat === undefined ? {} : { requireChat }) };
      return session.load(wanted, onProgress);
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

/** What the browser refused this page, in words of what to do; any other error as a {@link TabserveError}. */
function deniedOr(error: unknown): TabserveError {
  const failure = toTabserveError(error);
  const { code, cause } = failure;
  if (code !== 'internal' || !(cause instanceof DOMException && cause.name === 'SecurityError')) return failure;
  const message = `The browser denies this page what it takes to run a model: ${cause.message} ${DENIED_SENTENCE}`;
  return new TabserveError('webgpu_unavailable', message, { cause });
}

function loadSettings(options: ClientOptions): LoadSettings {
  const { kvCacheBytes, gpuMemoryBytes, kvCacheDtype, numerics, maxModelLen, persistPrefixCache, tuning, chatTemplate } = options;
  return defined<LoadSettings>({
    kvCacheBytes, gpuMemoryBytes, kvCacheDtype, numerics, maxModelLen, persistPrefixCache, tuning, chatTemplate,
  });
}

function logToConsole({ level, message }: LogLine): void {
  // oxlint-disable-next-line no-console -- nobody listens, and the worker's own console is out of sight
  if (level !== 'info') console[level](`tabserve: ${message}`);
}
