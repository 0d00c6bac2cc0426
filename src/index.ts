/// <reference lib="esnext.disposable" preserve="true" />
export { createClient } from './client/create-client.ts';
export type { ClientOptions } from './client/create-client.ts';
export { checkSupport, missingSupport } from './client/support.ts';
export type { MissingFeature, PageScope, Support } from './client/support.ts';
export type { Client, LogLine } from './client/client.ts';
export type { ChatCompletions, Completions, TextCompletions } from './client/completions.ts';
export type { ChatCompletionStream, CompletionStream, TextCompletionStream } from './client/completion-stream.ts';
export type { RequestOptions } from './client/run-completion.ts';
export type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionCreateParams,
  ChatCompletionCreateParamsBase,
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionCreateParamsStreaming,
  ChatContentPart,
  ChatMessageParam,
} from './api/chat-types.ts';
export type {
  CompletionFinishReason,
  CompletionParams,
  CompletionUsage,
  StreamOptions,
} from './api/completion-types.ts';
export type {
  TextCompletion,
  TextCompletionChunk,
  TextCompletionCreateParams,
  TextCompletionCreateParamsBase,
  TextCompletionCreateParamsNonStreaming,
  TextCompletionCreateParamsStreaming,
} from './api/text-types.ts';
export { WEBGPU_BROWSERS } from './core/webgpu-browsers.ts';
export type { BrowserPlatform, BrowserSupport } from './core/webgpu-browsers.ts';
export { TabserveError } from './core/errors.ts';
export type { ErrorCode, ErrorDetails, ModelHolder, SerializedError } from './core/errors.ts';
export type { KvCacheDtype } from './core/kv-cache-dtype.ts';
export type { Numerics } from './core/numerics.ts';
export type {
  AdapterSummary,
  EngineMetrics,
  ModelState,
  RequestTimings,
  ResidentModel,
  StepCounters,
} from './core/metrics.ts';
export { ceilingShare } from './core/profile.ts';
export type {
  AdapterLimits,
  DispatchProfile,
  KernelProfile,
  ProfileOptions,
  ProfilePhase,
  StepProfile,
} from './core/profile.ts';
export type { LoadProgress } from './core/progress.ts';
export type { CutReason, LoadSettings, PersistPrefixCache } from './core/load-settings.ts';
export type { ChatTemplateOrigin, HubSettings, ModelInfo, ModelSource } from './core/protocol.ts';
export type { TabserveExtension } from './core/request-parameters.ts';
export type { RecommendedSampling } from './core/recommended-sampling.ts';
export type {
  BlockPoolSnapshot,
  EngineSnapshot,
  RequestProgress,
  RequestSnapshot,
  SessionSnapshot,
} from './core/snapshot.ts';
export type { EngineStatus, StallCause, StalledStatus } from './core/status.ts';
export type { Invariance } from './core/invariance.ts';
export type { RejectedVariant, TunedKernel, Tuning, TuningMetrics } from './core/tuning.ts';
export type { Ownership } from './client/ownership.ts';
export type { ScriptAddress } from './client/worker-script.ts';
