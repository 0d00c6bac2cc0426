import { TabserveError } from '../core/errors.ts';
import type { EngineStats } from '../core/metrics.ts';
import { type LoadWait, waitFor } from '../core/load-watch.ts';
import type { LoadProgress } from '../core/progress.ts';
import { grantedOf, settingsOf } from '../core/load-settings.ts';
import type { ChatTemplateOrigin, LoadOptions, ModelInfo } from '../core/protocol.ts';
import type { ModelRunner } from '../core/scheduler-output.ts';
import type { DeferredKernel, KernelWidths, Tunable } from '../tuning/tunable.ts';
import { untilAborted } from '../core/until-aborted.ts';
import type { Autotuner } from '../tuning/autotuner.ts';
import type { InvarianceCheck } from '../tuning/invariance-check.ts';
import { Engine } from '../engine/engine.ts';
import { GpuLock } from '../engine/gpu-lock.ts';
import { IdleQueue } from '../engine/idle-queue.ts';
import { DeferredKernels } from '../tuning/deferred-kernels.ts';
import type { BlockTransfer, PrefixKeeper } from '../engine/prefix-keeper.ts';
import { readModelFile } from '../formats/gguf.ts';
import { identifiedSource } from '../download/identified-source.ts';
import { type ModelStorage, sweepModels } from '../storage/model-storage.ts';
import type { OpenOptions } from '../download/open-source.ts';
import { opfsStorage } from '../storage/opfs-storage.ts';
import { idbTuningStorage, type TuningStorage } from '../tuning/tuning-store.ts';
import { readRecommendedSampling } from '../models/recommended-sampling.ts';
import type { LoadedRunner, LoadRunnerOptions } from '../runner/load-runner.ts';
import { effectiveMaxModelLen } from '../scheduler/check-request.ts';
import { Scheduler } from '../scheduler/scheduler.ts';
import { noChatTemplate } from '../tokenizer/template-source.ts';
import { loadTokenizer } from '../tokenizer/tokenizer.ts';
import { KeptPrefixes } from './keep-prefixes.ts';
import { modelId } from './model-identity.ts';
import { ModelProfiler } from './model-profiler.ts';
import type { LoadContext, LoadModel, ServedModel } from './served-model.ts';
import { KernelTuning } from '../tuning/kernel-tuning.ts';
import { openWatched } from './watched-source.ts';

/** The part of a loaded runner that is needed here: nothing of the GPU. */
type Runner = Omit<LoadedRunner, 'runner' | 'device' | 'blockTransfer' | 'tunables' | 'kernelWidths' | 'deferredKernels'> & {
  readonly runner: ModelRunner;
  readonly tunables?: readonly Tunable[];
  readonly kernelWidths?: readonly KernelWidths[];
  readonly deferredKernels?: readonly DeferredKernel[];
  readonly blockTransfer?: (BlockTransfer & { readonly blockBytes: number }) | undefined;
};

export interface ModelLoaderOptions {
  readonly loadRunner: (options: LoadRunnerOptions) => Promise<Runner>;
  /** The base of relative paths. */
  readonly baseUrl: string;
  /** How files are opened, for tests. @default the browser's storage, locks and fetch */
  readonly open?: Partial<Pick<OpenOptions, 'storage' | 'locks' | 'http' | 'partBytes'>>;
  /** The prefixes that the model manager may delete. @default those in the browser's storage */
  readonly prefixes?: KeptPrefixes;
  /** The storage of tuning results. @default the browser's */
  readonly tuningStorage?: () => TuningStorage | undefined;
}

const GPU: LoadWait = { cause: 'gpu', what: 'the browser’s GPU process' };
const COMPILER: LoadWait = { cause: 'compiler', what: 'kernels to be compiled, which a software adapter takes long for' };

const FAILED = new TabserveError('aborted', 'The load has failed: nothing more is read of its file.');

/**
 * Loads a model: its file, its tokenizer, its runner, and an engine over them. A load that is given up rejects at once with
 * the signal's reason, and its GPU memory is free by then. A load that fails by itself ends its download. The first load
 * also deletes orphaned files from the storage of models, in the background.
 */
export function createModelLoader(its: ModelLoaderOptions): LoadModel {
  const load = loaderOf(its);
  let isSwept = false;
  return async (options, context) => {
    if (!isSwept) void sweepStorage(its.open?.storage);
    isSwept = true;
    const failed = new AbortController();
    try {
      return await load(options, { ...context, signal: AbortSignal.any([context.signal, failed.signal]) });
    } catch (error) {
      failed.abort(FAILED);
      throw error;
    }
  };
}

async function sweepStorage(given: ModelStorage | null | undefined): Promise<void> {
  const storage = given === undefined ? opfsStorage() : (given ?? undefined);
  if (storage !== undefined) await sweepModels(storage).catch(() => {}); // tried again by the next worker
}

function loaderOf(its: ModelLoaderOptions): LoadModel {
  const { loadRunner, baseUrl, open, prefixes = new KeptPrefixes(), tuningStorage = idbTuningStorage } = its;
  const gpuLock = new GpuLock(); // of all models of the worker
  return async (options, context) => {
    const { source, hub, cacheKey } = options;
    const settings = settingsOf(options);
    const { log, clock, visibleClock, signal, reserve, beginWait } = context;
    const { persistPrefixCache, tuning: tuningSetting, chatTemplate, gpuMemoryBytes } = settings;
    const prefixPlan = prefixes.plan(persistPrefixCache, log);
    const tuning = new KernelTuning(tuningSetting, tuningStorage, log);
    const progress = lastProgress(context);
    const shown = { onProgress: progress.report, beginWait, log };
    const plain = await openWatched(source, { ...open, baseUrl, hub, cacheKey, gpuMemoryBytes, ...shown, signal });
    const identified = identifiedSource(plain);
    const file = await untilAborted(readModelFile(prefixPlan === undefined ? plain : identified), signal);
    const making = loadTokenizer(file.metadata, { chatTemplate }); // before the weights: it may refuse the model
    const tokenizer = await untilAborted(making, signal);
    for (const warning of tokenizer.warnings) log('warn', warning);
    progress.header(tokenizer.chatTemplate);
    if (tokenizer.chatTemplate === 'none') log('warn', noChatTemplate().message);
    signal.throwIfAborted(); // aborted by sessions that want to chat
    const blockTransfer = prefixPlan !== undefined;
    const onStage: LoadRunnerOptions['onStage'] = (stage) => {
      progress.stage(stage);
      if (stage === 'load') plain.want(); // its header is accepted, and it fits
      if (stage === 'compile') beginWait(COMPILER); // until the end of the load
    };
    const shared = { file, reserve, blockTransfer, log, signal, onStage };
    const loaded = await waitFor(beginWait, GPU, gpuLock.shared(() => loadRunner({ ...shared, ...settings })));
    const { runner, adapter, blockTransfer: transfer, tunables = [], kernelWidths = [], deferredKernels: kernels = [] } = loaded;
    const scheduler = new Scheduler(loaded.scheduler);
    const isBusy = (): boolean => {
      const { requestsRunning, requestsWaiting } = scheduler.stats();
      return requestsRunning + requestsWaiting > 0;
    };
    const idleQueue = new IdleQueue({ isBusy, gpuLock, visibleClock, log });
    const engine = new Engine({ scheduler, runner, clock, gpuLock, onIdle: () => idleQueue.onIdle() });
    const stats = (): EngineStats => engine.stats();
    const parts = { file: identified, adapter, granted: grantedOf(loaded), scheduler, stats, gpuLock, log, clock };
    const keeper = prefixPlan && transfer && prefixes.keep(prefixPlan, { ...parts, transfer });
    const deferred = new DeferredKernels({ kernels, isSoftware: adapter.isSoftware, log });
    const { kept, tuner } = tuning.start(adapter, tunables, visibleClock);
    const invariance = tuning.checkInvariance(adapter, kernelWidths, () => {
      scheduler.prefixes.clear();
      void keeper?.forget().catch((error: unknown) => log('warn', `Kept prefixes cannot be deleted: ${String(error)}`));
    });
    for (const task of [deferred, kept, keeper, invariance, tuner]) if (task !== undefined) idleQueue.add(task);
    const recommendedSampling = readRecommendedSampling(file.metadata);
    const info = infoOf(loaded, options, { chatTemplate: tokenizer.chatTemplate, fileBytes: plain.size, recommendedSampling });
    return serve(loaded, info, tokenizer, engine, { idleQueue, deferred, keeper, prefixes, invariance, tuner });
  };
}

type FileInfo = Pick<ModelInfo, 'chatTemplate' | 'fileBytes' | 'recommendedSampling'>;

/** The info of a model for its tabs. */
function infoOf(loaded: Runner, options: LoadOptions, file: FileInfo): ModelInfo {
  const { config, scheduler } = loaded;
  const { name, architecture, maxPositionEmbeddings: contextLength, vocabSize } = config;
  const context = { contextLength, maxModelLen: effectiveMaxModelLen(scheduler) };
  return { id: modelId(options), name, architecture, ...context, ...grantedOf(loaded), vocabSize, ...file, settings: settingsOf(options) };
}

/** The work of moments without requests. */
interface IdleWork {
  readonly idleQueue: IdleQueue;
  readonly deferred: DeferredKernels;
  readonly keeper: PrefixKeeper | undefined;
  readonly prefixes: KeptPrefixes;
  readonly invariance: InvarianceCheck;
  readonly tuner: Autotuner;
}

function serve(
  loaded: Runner,
  info: ModelInfo,
  tokenizer: ServedModel['tokenizer'],
  engine: Engine,
  { idleQueue, deferred, keeper, prefixes, invariance, tuner }: IdleWork,
): ServedModel {
  return {
    info,
    tokenizer,
    engine,
    adapter: loaded.adapter,
    gpuBytes: loaded.gpuBytes,
    lost: loaded.lost,
    profiler: new ModelProfiler({ profiler: loaded.profiler, idleQueue, lost: loaded.lost }),
    counters: () => loaded.counters(),
    tuning: () => tuner.metrics(),
    invariance: () => invariance.result(),
    kernelsToCompile: () => deferred.numDue,
    loseDevice: () => loaded.loseDevice(),
    destroy: () => {
      const ended = idleQueue.stop();
      if (keeper !== undefined) prefixes.release(keeper, ended);
      loaded.destroy();
    },
  };
}

/** Reports stages without bytes of their own with the bytes of the stage before. */
function lastProgress({ onProgress }: LoadContext) {
  let last: LoadProgress = { stage: 'open', bytesDone: 0, bytesTotal: 0, bytesPerSecond: 0, secondsLeft: Infinity };
  let header: Pick<LoadProgress, 'chatTemplate'> = {};
  const report = (progress: LoadProgress): void => {
    last = { ...progress, ...header };
    onProgress(last);
  };
  return {
    report,
    stage: (stage: 'load' | 'compile'): void => {
      // The progress of bytes has the stages "download" and "load" already.
      if (stage === 'compile') onProgress({ ...last, stage, bytesPerSecond: 0, secondsLeft: 0 });
    },
    /** The header has been read. All later reports include it. */
    header: (chatTemplate: ChatTemplateOrigin): void => {
      header = { chatTemplate };
      report(last);
    },
  };
}
