import type { LoadProgress } from '../core/progress.ts';
import type { ModelInfo } from '../core/protocol.ts';
import type { ModelRunner } from '../core/scheduler-output.ts';
import { Engine } from '../engine/engine.ts';
import type { ByteSource } from '../loader/byte-source.ts';
import { readModelFile } from '../loader/gguf.ts';
import { openSource } from '../loader/open-source.ts';
import type { LoadedRunner, LoadRunnerOptions } from '../runner/load-runner.ts';
import { effectiveMaxModelLen } from '../scheduler/check-request.ts';
import { Scheduler } from '../scheduler/scheduler.ts';
import { createTokenizer } from '../tokenizer/tokenizer.ts';
import type { LoadContext, LoadModel, ServedModel } from './served-model.ts';

/** What is needed of a loaded runner: nothing of the GPU. */
type Runner = Omit<LoadedRunner, 'runner' | 'device'> & { readonly runner: ModelRunner };

export interface ModelLoaderOptions {
  readonly loadRunner: (options: LoadRunnerOptions) => Promise<Runner>;
  /** What a path is relative to. */
  readonly baseUrl: string;
}

/** Loads a model: its file, its tokenizer, its runner, an engine over them. */
export function createModelLoader({ loadRunner, baseUrl }: ModelLoaderOptions): LoadModel {
  return async ({ source, ...settings }, context) => {
    const { log, clock, signal } = context;
    const progress = lastProgress(context);
    const opened = await openSource(source, { baseUrl, onProgress: progress.report, log, signal });
    const file = await readModelFile(abortableSource(opened, signal));
    const tokenizer = createTokenizer(file.metadata); // before the weights: it may refuse the model
    const loaded = await loadRunner({ file, ...settings, log, onStage: progress.stage });
    const engine = new Engine({ scheduler: new Scheduler(loaded.scheduler), runner: loaded.runner, clock });
    const info: ModelInfo = {
      id: typeof source === 'string' ? source : source.name,
      name: loaded.config.name,
      architecture: loaded.config.architecture,
      maxModelLen: effectiveMaxModelLen(loaded.scheduler),
      kvCacheDtype: loaded.kvCacheDtype,
      kvCacheBytes: loaded.kvCacheBytes,
      vocabSize: loaded.config.vocabSize,
      fileBytes: opened.size,
      settings,
    };
    return serve(loaded, info, tokenizer, engine);
  };
}

function serve(
  loaded: Runner,
  info: ModelInfo,
  tokenizer: ServedModel['tokenizer'],
  engine: Engine,
): ServedModel {
  const stop = new AbortController();
  return {
    info,
    tokenizer,
    adapter: loaded.adapter,
    lost: loaded.lost,
    counters: () => loaded.counters(),
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

/** Reports stages that have no bytes of their own with the bytes of the stage before. */
function lastProgress({ onProgress }: LoadContext) {
  let last = { bytesDone: 0, bytesTotal: 0 };
  return {
    report: (progress: LoadProgress): void => {
      last = progress;
      onProgress(progress);
    },
    stage: (stage: 'load' | 'compile'): void => {
      // The bytes tell by themselves whether they are downloaded or loaded.
      if (stage !== 'compile') return;
      onProgress({ stage, bytesDone: last.bytesDone, bytesTotal: last.bytesTotal, bytesPerSecond: 0, secondsLeft: 0 });
    },
  };
}
