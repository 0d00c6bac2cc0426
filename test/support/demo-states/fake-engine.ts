import type { EngineMetrics, EngineSnapshot, RequestSnapshot } from '../../../src/index.ts';
import { FakeClient } from '../fake-chat.ts';

const REQUESTS: readonly RequestSnapshot[] = [
  { id: 'a', session: 2, isOwn: true, state: 'running', numTokens: 120, numComputedTokens: 118, blockTable: [0, 1, 2, 3, 4, 5, 6, 7] },
  { id: 'b', session: 1, isOwn: false, state: 'running', numTokens: 80, numComputedTokens: 80, blockTable: [0, 1, 10, 11, 12] },
  { id: 'c', session: 3, isOwn: false, state: 'waiting', numTokens: 40, numComputedTokens: 0, blockTable: [] },
];

/** A client whose engine has something to show. */
export class FakeEngine extends FakeClient {
  #readings = 0;

  override async metrics(): Promise<EngineMetrics> {
    const reading = ++this.#readings;
    return {
      state: 'ready', model: 'one', sessions: 3, kernelsToCompile: 0,
      models: [
        { id: 'https://example.com/one.gguf', state: 'ready', gpuBytes: 4e8, sessions: 2 },
        { id: 'https://example.com/other.gguf', state: 'parked', gpuBytes: 0, sessions: 1 },
      ],
      requestsRunning: 2, requestsWaiting: 1, kvBlocksUsed: 11, kvBlocksTotal: 120, kvBlockSize: 16,
      preemptions: 0, promptTokens: 400 + reading, generationTokens: 60 * reading, prefixCacheQueries: 100, prefixCacheHits: 40,
      prefillTokensPerSecond: 900, decodeTokensPerSecond: 60,
      adapter: { vendor: 'acme', architecture: 'one', device: '', description: 'Acme GPU', isSoftware: true, features: ['subgroups'] },
      counters: { steps: 30 * reading, dispatches: 0, submits: 0, bindGroupsCreated: 0, bytesReadBack: 0 },
      invariance: { state: 'verified' },
      tuning: {
        state: 'done', wallMs: 6400, gpuMs: 1900, pipelinesCompiled: 64, numKernels: 20,
        kernels: [{ name: 'matmul-int4', tokens: 1, variant: 'tile 8x8', gain: 1.4 }], rejected: [],
      } as unknown as EngineMetrics['tuning'],
    };
  }

  override async inspect(): Promise<EngineSnapshot> {
    return {
      sessions: [], requests: REQUESTS, maxNumSeqs: 16,
      pool: { numBlocks: 120, blockSize: 16, numFree: 109, cachedFree: [20, 21, 22], shared: [{ block: 0 }, { block: 1 }] as never },
    };
  }
}
