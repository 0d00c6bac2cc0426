import { TabserveError } from '../../src/core/errors.ts';
import { BROKER_NAME } from '../../src/core/rendezvous.ts';
import type { ModelRunner } from '../../src/core/scheduler-output.ts';
import { readModelConfig } from '../../src/models/architectures.ts';
import { serveBroker } from '../../src/worker/broker.ts';
import { createModelLoader } from '../../src/worker/load-model.ts';
import { serveElectedWorker, serveSharedWorker } from '../../src/worker/serve.ts';
import { noProfiler } from './fake-profiler.ts';
import { lettersAfter } from './letters.ts';

// A worker like the real one, whatever started it, but for its runner: no GPU, and a token every 5 ms that follows from
// the one before it, its position and the seed, so that a token twice, or one too few, changes all that come after.

const STEP_MS = 5;
const runner: ModelRunner = {
  execute: async (plan) => {
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    return lettersAfter(plan);
  },
};

const loadModel = createModelLoader({
  baseUrl: location.href,
  loadRunner: async ({ file }) => {
    if (file.source.id === 'uncaught.gguf') {
      setTimeout(() => {
        throw new Error('thrown in the worker');
      });
    }
    let lose: (error: TabserveError) => void = () => {};
    return {
      runner,
      config: readModelConfig(file),
      scheduler: {
        blockSize: 16, numBlocks: 64, maxNumBatchedTokens: 32, maxNumSeqs: 4, maxModelLen: 512, maxStepsPerPlan: 1,
      },
      kvCacheDtype: 'f32' as const,
      numerics: 'f32' as const,
      kvCacheBytes: 4096,
    gpuBytes: 4096,
      adapter: { vendor: 'fake', architecture: '', device: '', description: '', isSoftware: true, features: [] },
      profiler: noProfiler,
      counters: () => ({ steps: 0, dispatches: 0, submits: 0, bindGroupsCreated: 0, bytesReadBack: 0 }),
      lost: new Promise<TabserveError>((resolve) => (lose = resolve)),
      loseDevice: () => lose(new TabserveError('device_lost', 'lost on purpose')),
      destroy: () => {},
    };
  },
});

if (!('onconnect' in self)) serveElectedWorker({ loadModel });
else if (self.name.startsWith(BROKER_NAME)) serveBroker();
else serveSharedWorker({ loadModel });
