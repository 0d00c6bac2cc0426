import { BROKER_NAME } from '../../../src/core/rendezvous.ts';
import type { ModelRunner } from '../../../src/core/scheduler-output.ts';
import { untilAborted } from '../../../src/core/until-aborted.ts';
import { openGpu } from '../../../src/gpu/device.ts';
import { readModelConfig } from '../../../src/models/architectures.ts';
import { serveBroker } from '../../../src/worker/broker.ts';
import { createModelLoader } from '../../../src/worker/load-model.ts';
import { serveElectedWorker, serveSharedWorker } from '../../../src/worker/serve.ts';
import { noProfiler } from '../fake-profiler.ts';
import { lettersAfter } from '../letters.ts';
import { countSteps } from './steps.ts';

// The real worker, its storage, its network and its GPU device, but for the kernels, which a software adapter compiles for
// a second: a token follows from the one before it.

const NEED = { minBytes: 2 ** 20, enoughBytes: 2 ** 20, wantedBytes: 2 ** 20, budgetBytes: 2 ** 30 };
const runner: ModelRunner = { execute: async (plan) => lettersAfter(plan) };

const loadModel = createModelLoader({
  baseUrl: location.href,
  loadRunner: async ({ file, reserve, onStage, signal = new AbortController().signal }) => {
    const { device, adapter, lost } = await untilAborted(openGpu(), signal, (late) => late.device.destroy());
    const load = async (): Promise<void> => {
      await reserve?.(NEED);
      onStage?.('load');
      for (const { offset, byteLength } of file.tensors) {
        await file.source.read(offset, byteLength);
        await device.queue.onSubmittedWorkDone();
      }
      onStage?.('compile');
    };
    try {
      await untilAborted(load(), signal);
    } catch (error) {
      device.destroy();
      throw error;
    }
    return {
      runner,
      config: readModelConfig(file),
      scheduler: {
        blockSize: 16, numBlocks: 64, maxNumBatchedTokens: 32, maxNumSeqs: 4, maxModelLen: 512, maxStepsPerPlan: 1,
      },
      kvCacheDtype: 'f32' as const,
      numerics: 'f32' as const,
      kvCacheBytes: 4096,
      gpuBytes: 2 ** 20,
      adapter,
      profiler: noProfiler,
      counters: () => ({ steps: 0, dispatches: 0, submits: 0, bindGroupsCreated: 0, bytesReadBack: 0 }),
      lost,
      loseDevice: () => device.destroy(),
      destroy: () => device.destroy(),
    };
  },
});

countSteps();
if (!('onconnect' in self)) serveElectedWorker({ loadModel });
else if (self.name.startsWith(BROKER_NAME)) serveBroker();
else serveSharedWorker({ loadModel });
