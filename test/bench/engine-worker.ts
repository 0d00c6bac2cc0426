import { expose } from 'comlink';
import type { StepCounters } from '../../src/core/metrics.ts';
import type { EngineRequest } from '../../src/core/request.ts';
import { Engine } from '../../src/engine/engine.ts';
import { readModelFile } from '../../src/formats/gguf.ts';
import { openSource } from '../../src/download/open-source.ts';
import { type LoadedRunner, loadRunner } from '../../src/runner/load-runner.ts';
import { Scheduler } from '../../src/scheduler/scheduler.ts';
import type { BenchOptions, EngineFigures, StepCost } from '../../demo/bench/figures.ts';
import { tune } from '../../demo/bench/models/tune.ts';
import { compileDeferred } from '../support/deferred-kernels.ts';

/** Loads the model as the engine's worker does, and times requests of one sequence. */
async function benchEngine(options: BenchOptions): Promise<EngineFigures> {
  const { modelUrl, promptTokens, decodeTokens, repeats } = options;
  const start = performance.now();
  const ignore = (): void => {};
  const source = await openSource(modelUrl, { baseUrl: modelUrl, storage: null, onProgress: ignore, log: ignore });
  const loaded = await loadRunner({ file: await readModelFile(source) });
  const loadSeconds = (performance.now() - start) / 1000;
  try {
    await compileDeferred(loaded);
    const tuning = await tune(loaded);
    await timeRequest(loaded, 40, 4); // the first of everything
    const runs = [];
    for (let i = 0; i < repeats; i++) runs.push(await timeRequest(loaded, promptTokens, decodeTokens));
    return {
      adapter: loaded.adapter,
      modelName: loaded.config.name,
      loadSeconds,
      tuning,
      maxNumBatchedTokens: loaded.scheduler.maxNumBatchedTokens,
      maxStepsPerPlan: loaded.scheduler.maxStepsPerPlan,
      prefillTokensPerSecond: runs.map(({ prefillMs }) => (promptTokens / prefillMs) * 1000),
      decodeTokensPerSecond: runs.map(({ decodeMs }) => (decodeTokens / decodeMs) * 1000),
      perDecodeStep: perStep(runs.map(({ decodeCost }) => decodeCost)),
    };
  } finally {
    loaded.destroy();
  }
}

/** Prefill ends with the first token; `decodeTokens` more follow. */
async function timeRequest(loaded: LoadedRunner, promptTokens: number, decodeTokens: number) {
  const { scheduler, runner, config } = loaded;
  const clock = (): number => performance.now();
  const engine = new Engine({ scheduler: new Scheduler(scheduler), runner, clock });
  engine.add(requestOf(promptTokens, decodeTokens + 1, config.vocabSize));
  const start = clock();
  const stop = new AbortController();
  let first: { readonly time: number; readonly counters: StepCounters } | undefined;
  for await (const [output] of engine.run(stop.signal)) {
    first ??= { time: clock(), counters: loaded.counters() };
    if (output?.finishReason !== undefined) stop.abort();
  }
  if (first === undefined) throw new Error('the engine sampled nothing');
  const decodeCost = { before: first.counters, after: loaded.counters() };
  return { prefillMs: first.time - start, decodeMs: clock() - first.time, decodeCost };
}

/** Any tokens will do: speed does not depend on them. None ends the request. */
function requestOf(promptTokens: number, maxTokens: number, vocabSize: number): EngineRequest {
  return {
    requestId: 'bench',
    sessionId: 'bench',
    choice: 0,
    promptTokenIds: Array.from({ length: promptTokens }, (_, i) => (5 + 7 * i) % vocabSize),
    sampling: { temperature: 0, seed: 0, maxTokens, stopTokenIds: [] },
    arrivalTime: 0,
  };
}

function perStep(costs: readonly { readonly before: StepCounters; readonly after: StepCounters }[]): StepCost {
  const total = (key: keyof StepCounters): number => {
    return costs.reduce((sum, { before, after }) => sum + after[key] - before[key], 0);
  };
  const steps = total('steps');
  return {
    dispatches: total('dispatches') / steps,
    submits: total('submits') / steps,
    bindGroupsCreated: total('bindGroupsCreated') / steps,
    bytesReadBack: total('bytesReadBack') / steps,
  };
}

const api = { benchEngine };
export type EngineBench = typeof api;
expose(api);
