import type { AdapterSummary, EngineStats } from '../core/metrics.ts';
import type { LoadProgress } from '../core/progress.ts';
import { settingsOf } from '../core/protocol.ts';
import type { ChatTemplateOrigin, LoadOptions, ModelInfo } from '../core/protocol.ts';
import type { ModelRunner } from '../core/scheduler-output.ts';
import type { LateKernel, Tunable, Winners } from '../core/tuning.ts';
import type { Autotuner } from '../engine/autotuner.ts';
import { Engine } from '../engine/engine.ts';
import { LateCompiler } from '../engine/late-compiler.ts';
import type { BlockTransfer, PrefixKeeper } from '../engine/prefix-keeper.ts';
import type { ByteSource } from '../loader/byte-source.ts';
import { readModelFile } from '../loader/gguf.ts';
import { identifiedSource } from '../loader/identified-source.ts';
import { openSource } from '../loader/open-source.ts';
import { idbTuningStorage, type TuningStorage } from '../loader/tuning-store.ts';
import type { LoadedRunner, LoadRunnerOptions } from '../runner/load-runner.ts';
import { effectiveMaxModelLen } from '../scheduler/check-request.ts';
import { Scheduler } from '../scheduler/scheduler.ts';
import { noChatTemplate } from '../tokenizer/template-source.ts';
import { loadTokenizer } from '../tokenizer/tokenizer.ts';
import { keepPrefixes, opfsPrefixStorage, planPrefixes, type PrefixStorage } from './keep-prefixes.ts';
import { modelId } from './model-identity.ts';
import { ModelProfiler } from './model-profiler.ts';
import type { LoadContext, LoadModel, ServedModel } from './served-model.ts';
import { KernelTuning } from './tune-kernels.ts';

/** What is needed of a loaded runner: nothing of the GPU. */
type Runner = Omit<LoadedRunner, 'runner' | 'device' | 'blockTransfer' | 'tunables' | 'lateKernels'> & {
  readonly runner: ModelRunner;
  readonly tunables?: readonly Tunable[];
  readonly lateKernels?: readonly LateKernel[];
  readonly blockTransfer?: (BlockTransfer & { readonly blockBytes: number }) | undefined;
};

export interface ModelLoaderOptions {
  readonly loadRunner: (options: LoadRunnerOptions) => Promise<Runner>;
  /** What a path is relative to. */
  readonly baseUrl: string;
  /** Where hot prefixes are kept. @default the browser's */
  readonly prefixStorage?: () => PrefixStorage | undefined;
  /** Where it is kept how kernels are tuned. @default the browser's */
  readonly tuningStorage?: () => TuningStorage | undefined;
}

/** Loads a model: its file, its tokenizer, its runner, an engine over them. */
export function createModelLoader(its: ModelLoaderOptions): LoadModel {
  const { loadRunner, baseUrl, prefixStorage = opfsPrefixStorage, tuningStorage = idbTuningStorage } = its;
  return async (options, context) => {
    const { source, hub, cacheKey } = options;
    const settings = settingsOf(options);
    const { log, clock, signal, reserve } = context;
    const { persistPrefixCache, tuning: tuningSetting, chatTemplate, ...runnerSettings } = settings;
    const prefixPlan = planPrefixes(persistPrefixCache, prefixStorage, log);
    const tuning = new KernelTuning(tuningSetting, tuningStorage, log);
    const progress = lastProgress(context);
    const opened = await openSource(source, { baseUrl, hub, cacheKey, onProgress: progress.report, log, signal });
    const plain = abortableSource(opened, signal);
    const identified = identifiedSource(plain);
    const file = await readModelFile(prefixPlan === undefined ? plain : identified);
    const tokenizer = await loadTokenizer(file.metadata, { chatTemplate }); // before the weights: it may refuse the model
    for (const warning of tokenizer.warnings) log('warn', warning);
    progress.header(tokenizer.chatTemplate);
    if (tokenizer.chatTemplate === 'none') log('warn', noChatTemplate().message);
    signal.throwIfAborted(); // by sessions that want to chat
    const blockTransfer = prefixPlan !== undefined;
    const winners = (found: AdapterSummary): Promise<Winners> => tuning.winners(found);
    const shared = { file, reserve, blockTransfer, winners, log, onStage: progress.stage };
    const loaded = await loadRunner({ ...shared, ...runnerSettings });
    const { runner, adapter, kvCacheDtype, numerics, blockTransfer: transfer, tunables = [], lateKernels: kernels = [] } = loaded;
    const scheduler = new Scheduler(loaded.scheduler);
    const stats = (): EngineStats => engine.stats();
    const parts = { file: identified, adapter, kvCacheDtype, numerics, scheduler, stats, log, clock };
    const keeper = prefixPlan && transfer && keepPrefixes(prefixPlan, { ...parts, transfer });
    const isBusy = (): boolean => stats().requestsRunning + stats().requestsWaiting > 0;
    const lateCompiler = new LateCompiler({ kernels, isBusy, whileIdleOnly: adapter.isSoftware, log });
    const othersSettled = async (): Promise<void> => {
      await lateCompiler.settled;
      await keeper?.settled;
    };
    const tuner = tuning.start({ adapter, tunables, isBusy, othersSettled });
    const onIdle = (): void => {
      lateCompiler.onIdle();
      keeper?.onIdle();
      tuner.onIdle();
    };
    const engine = new Engine({ scheduler, runner, clock, onIdle });
    const info = infoOf(loaded, options, tokenizer.chatTemplate, opened.size);
    return serve(loaded, info, tokenizer, engine, { lateCompiler, keeper, tuner });
  };
}

/** What tabs are told of a model. */
function infoOf(loaded: Runner, options: LoadOptions, chatTemplate: ModelInfo['chatTemplate'], fileBytes: number): ModelInfo {
  const { config, scheduler, contextCut, kvCacheDtype, numerics, kvCacheBytes, kvCacheCut } = loaded;
  const { name, architecture, maxPositionEmbeddings: contextLength, vocabSize } = config;
  const context = { contextLength, maxModelLen: effectiveMaxModelLen(scheduler), contextCut };
  const cache = { kvCacheDtype, numerics, kvCacheBytes, kvCacheCut };
  const file = { vocabSize, chatTemplate, fileBytes };
  return { id: modelId(options), name, architecture, ...context, ...cache, ...file, settings: settingsOf(options) };
}

/** What is done in moments without requests. */
interface IdleWork {
  readonly lateCompiler: LateCompiler;
  readonly keeper: PrefixKeeper | undefined;
  readonly tuner: Autotuner;
}

function serve(
  loaded: Runner,
  info: ModelInfo,
  tokenizer: ServedModel['tokenizer'],
  engine: Engine,
  { lateCompiler, keeper, tuner }: IdleWork,
): ServedModel {
  const stop = new AbortController();
  return {
    info,
    tokenizer,
    adapter: loaded.adapter,
    gpuBytes: loaded.gpuBytes,
    lost: loaded.lost,
    profiler: new ModelProfiler({ profiler: loaded.profiler, engine, lost: loaded.lost }),
    counters: () => loaded.counters(),
    tuning: () => tuner.metrics(),
    kernelsToCompile: () => lateCompiler.numLeft,
    loseDevice: () => loaded.loseDevice(),
    engine: {
      add: (request) => engine.add(request),
      abort: (requestId) => engine.abort(requestId),
      abortSession: (sessionId) => engine.abortSession(sessionId),
      stats: () => engine.stats(),
      snapshot: () => engine.snapshot(),
      run: () => engine.run(stop.signal),
    },
    destroy: () => {
      stop.abort();
      lateCompiler.stop();
      keeper?.stop();
      tuner.stop();
      loaded.destroy();
    },
  };
}

/** A load that is given up ends at its next read, whether that goes to the network, to storage or to a file. */
function abortableSource(source: ByteSource, signal: AbortSignal): ByteSource {
  return {
    id: source.id,
    size: source.size,
    read: async (offset, length) => {
      signal.throwIfAborted();
      return source.read(offset, length);
    },
  };
}

/** Reports what has no bytes of its own with the bytes of the stage before. */
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
      // The bytes tell by themselves whether they are downloaded or loaded.
      if (stage === 'compile') onProgress({ ...last, stage, bytesPerSecond: 0, secondsLeft: 0 });
    },
    /** The header has been read; all reports from here on say so. */
    header: (chatTemplate: ChatTemplateOrigin): void => {
      header = { chatTemplate };
      report(last);
    },
  };
}
