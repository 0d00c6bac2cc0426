import { defined } from './defined.ts';
import type { GrantedSettings, LoadSettings } from './load-settings.ts';
import type { EngineMetrics } from './metrics.ts';
import type { AdapterLimits, ProfileOptions, StepProfile } from './profile.ts';
import type { RecommendedSampling } from './recommended-sampling.ts';
import type { LogitsParams, SchedulingOptions } from './request.ts';
import type { EngineSnapshot } from './snapshot.ts';

/** A model: an `https:`, `http:` or `hf:owner/repo/file.gguf[@revision]` URL, a same-origin path, or a user's file. */
export type ModelSource = string | File;

/** Where a model's chat template comes from: its file, or the `chatTemplate` option. With `none` it cannot chat. */
export type ChatTemplateOrigin = 'file' | 'option' | 'none';

/** Where `hf:` names are looked up. */
export interface HubSettings {
  /** The address of a mirror of the hub, or of another hub. @default https://huggingface.co */
  readonly endpoint?: string;
  /**
   * An access token, for private and gated models. It is sent to the endpoint's origin and to no other, kept in memory as
   * long as the model is loaded, and never stored or given to other tabs: an app that wants to keep it has to do so itself.
   */
  readonly token?: string;
}

/** How a model's file is reached, beside its URL. */
export interface ModelAccess {
  /**
   * Where `hf:` names are looked up: a mirror's address as `endpoint`, and a `token` for private and gated models. The token
   * is this tab's: it is never stored, logged or given to another tab. @default https://huggingface.co, without a token
   */
  readonly hub?: HubSettings | undefined;
  /**
   * A name for the file behind a URL: it is stored, and shared by tabs, under this name whatever the URL is. For URLs that
   * change and still lead to one file; signatures of S3, R2, Google Cloud Storage, CloudFront and Azure need none. A new
   * version of the file is still detected by the server's size, ETag and date. Not for a `File`. @default the URL, without its
   * signature
   */
  readonly cacheKey?: string | undefined;
}

/** Which model is meant, and how it is reached. No part of {@link ModelInfo.settings}, which other tabs see. */
export interface ModelAddress extends ModelAccess {
  readonly source: ModelSource;
  /** Identifies a `File` by its content. @default it is like no other */
  readonly fingerprint?: string | undefined;
}

/** A tab's load of a model. */
export interface LoadOptions extends ModelAddress, LoadSettings {
  /**
   * Refuses a model that has no chat template with `unsupported_model`, as soon as its header is read: before its weights
   * are downloaded, and before other models are unloaded for it. @default false: `client.model.chatTemplate` is `none`,
   * chats are refused, and `client.completions` continues texts
   */
  readonly requireChat?: boolean | undefined;
  /**
   * Whether what this session asks may be kept, whatever `persistPrefixCache` says of the model. Given where a session
   * comes to the next worker, with the settings that held in the last one. @default whether `persistPrefixCache` allows it
   */
  readonly persistOwnPrefixes?: boolean | undefined;
}

/** Whether what a session asks may be kept in storage: only where its own options say so. */
export function mayPersist({ persistPrefixCache, persistOwnPrefixes }: Omit<LoadOptions, 'source'>): boolean {
  return persistOwnPrefixes ?? (persistPrefixCache !== undefined && persistPrefixCache !== false);
}

/** Which model it is, with nothing that is undefined. */
export function addressOf({ source, hub, cacheKey, fingerprint }: ModelAddress): ModelAddress {
  return defined<ModelAddress>({ source, hub, cacheKey, fingerprint });
}

/** The loaded model, as its tabs see it. */
export interface ModelInfo extends GrantedSettings {
  /**
   * The name to give in a request's `model` field: the `cacheKey`, else the source's URL without its signature, or the
   * file's name, as the first tab gave them; what this tab gave is taken as well.
   */
  readonly id: string;
  /**
   * The model's name: its file's name without `.gguf` and the type of its weights. The metadata's name is used where it
   * differs only in case and punctuation, or where the file's says nothing (`model.gguf`).
   */
  readonly name: string;
  readonly architecture: string;
  /** The longest sequence that the model was made for, in tokens. */
  readonly contextLength: number;
  /** Tokens that a sequence may have here, prompt and answer; at most `contextLength`. */
  readonly maxModelLen: number;
  readonly vocabSize: number;
  /** `none`: chats are refused, `client.completions` continues texts. */
  readonly chatTemplate: ChatTemplateOrigin;
  /** Bytes of the model file. */
  readonly fileBytes: number;
  /**
   * How the file says that the model is to be sampled; empty where it says nothing. Requests do so only when asked to:
   * `create({ ...client.model.recommendedSampling, messages })`.
   */
  readonly recommendedSampling: RecommendedSampling;
  /** The first tab's settings, which apply to all; the same settings give the same answers. */
  readonly settings: LoadSettings;
}

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/**
 * The prompt to continue: a chat, by the model's chat template; a text, in which control tokens are recognised; or
 * token ids.
 */
export type Prompt =
  | { readonly messages: readonly ChatMessage[] }
  | { readonly text: string }
  | { readonly tokenIds: readonly number[] };

/** A request as it crosses to the worker: validated, defaults filled in, plain data. */
export interface GenerateRequest {
  readonly requestId: string;
  readonly prompt: Prompt;
  /** `undefined`: until the context is full. */
  readonly maxTokens: number | undefined;
  readonly temperature: number;
  readonly seed: number;
  /** @default none */
  readonly logits?: LogitsParams | undefined;
  readonly stop: readonly string[];
  readonly scheduling?: SchedulingOptions | undefined;
  /** Which choice of its completion it is; part of the sampling seed. @default 0 */
  readonly choice?: number | undefined;
  /** The completion of which it is one of several choices. @default its own id */
  readonly completionId?: string | undefined;
  /** Set where another worker, which has died, has begun to answer. */
  readonly resume?: ResumePoint | undefined;
}

/** How far an answer had come, by the tab's frames. */
export interface ResumePoint {
  readonly promptTokenIds: readonly number[];
  /** The tokens whose frames the tab has, from index 0 on. The frames that follow begin after them. */
  readonly tokenIds: readonly number[];
}

/** The answer to a tab when a request is queued. */
export interface Queued {
  /** For the tab's journal, should this worker die. */
  readonly promptTokenIds: readonly number[];
}

/** A fault to inject. `device_lost`: the GPU device is destroyed. `worker_died`: the worker closes itself, and says nothing. */
export type Fault = 'device_lost' | 'worker_died';

/** The message of a session (a tab) on connecting. */
export interface SessionHello {
  /** A secret: whoever repeats it in a later handshake takes the session over. */
  readonly sessionId: string;
  /** The Web Lock that the tab holds for as long as it lives. Names of locks are seen by all of the origin. */
  readonly lockName: string;
  /** Whether the tab's page is hidden; see {@link EngineHost.setHidden}. */
  readonly isHidden: boolean;
  /** Higher than in any earlier handshake of this session: they may arrive in another order. */
  readonly handshake: number;
}

/** The worker's answer. */
export interface HostHello {
  /** Whether there is `navigator.gpu` where the worker runs. */
  readonly hasWebGpu: boolean;
  /** The Web Lock that the worker holds for as long as it lives. */
  readonly lockName: string;
}

/**
 * The worker's interface for each tab, over Comlink. Every method rejects with a TabserveError that keeps its code.
 * Arrays of frames arrive on the same link (see frames.ts).
 */
export interface EngineHost {
  connect(hello: SessionHello): Promise<HostHello>;
  /**
   * Loads the model, or joins those that have; `model_busy` where models that other sessions use leave no room for it.
   * The options of the session that came first hold. A load whose sessions have all gone is given up. Progress comes as
   * frames.
   */
  load(options: LoadOptions): Promise<ModelInfo>;
  /**
   * Gives the session back the model that it had in a worker that has died. Nothing is loaded before something is asked:
   * tabs that ask nothing may be more than fit on the GPU together.
   */
  keep(options: LoadOptions): Promise<void>;
  /**
   * Resolves when the request is queued; its tokens follow as frames. While the model is off the GPU it is kept, for as long
   * as what keeps the model off may pass, and as the request's own time limit allows.
   */
  generate(request: GenerateRequest): Promise<Queued>;
  /** Ends a request; a request that has ended already is left alone. */
  abort(requestId: string): Promise<void>;
  /** The tab's page has been hidden or shown. */
  setHidden(isHidden: boolean): Promise<void>;
  metrics(): Promise<EngineMetrics>;
  /** The holders of all blocks at this moment. */
  inspect(): Promise<EngineSnapshot>;
  /** The GPU time of each kernel in the next steps. */
  profile(options: ProfileOptions): Promise<StepProfile>;
  /** The adapter's peak rates; measured once, when the engine is idle. */
  limits(): Promise<AdapterLimits>;
  /** For tests and demonstrations of failover. */
  injectFault(fault: Fault): Promise<void>;
  /** Ends the session: its requests are aborted. */
  disconnect(): Promise<void>;
}

/** The Web Lock that a worker holds while it lives. */
export function hostLockName(hostId: string): string {
  return `tabserve:host:${hostId}`;
}

/** The Web Lock that a session holds while its tab lives. @param publicId seen by all of the origin; not the session's id */
export function sessionLockName(publicId: string): string {
  return `tabserve:session:${publicId}`;
}
