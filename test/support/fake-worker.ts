import type { TabserveError } from '../../src/core/errors.ts';
import type { ModelRunner } from '../../src/core/scheduler-output.ts';
import { readModelConfig } from '../../src/models/architectures.ts';
import { createModelLoader } from '../../src/worker/load-model.ts';
import { serveSharedWorker } from '../../src/worker/serve.ts';

// A SharedWorker like the real one, but for its runner: no GPU, a token every 5 ms, always the same.

const STEP_MS = 5;
const TOKEN_ID = 68;

const runner: ModelRunner = {
  execute: async ({ requests, numSteps }) => {
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    const ids = Array<number>(numSteps).fill(TOKEN_ID);
    return { sampledTokenIds: new Map(requests.map(({ requestId }) => [requestId, ids])) };
  },
};

serveSharedWorker(
  createModelLoader({
    baseUrl: location.href,
    loadRunner: async ({ file }) => {
      if (file.source.id === 'uncaught.gguf') {
        setTimeout(() => {
          throw new Error('thrown in the worker');
        });
      }
      return {
        runner,
        config: readModelConfig(file),
        scheduler: {
          blockSize: 16, numBlocks: 64, maxNumBatchedTokens: 32, maxNumSeqs: 4, maxModelLen: 512, maxStepsPerPlan: 1,
        },
        adapter: { vendor: 'fake', architecture: '', device: '', description: '', isSoftware: true, features: [] },
        counters: () => ({ steps: 0, dispatches: 0, submits: 0, bindGroupsCreated: 0, bytesReadBack: 0 }),
        lost: new Promise<TabserveError>(() => {}),
        destroy: () => {},
      };
    },
  }),
);
