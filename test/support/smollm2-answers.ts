import { Engine } from '../../src/engine/engine.ts';
import { type ModelFile, readModelFile } from '../../src/formats/gguf.ts';
import { openSource } from '../../src/download/open-source.ts';
import type { LoadedRunner } from '../../src/runner/load-runner.ts';
import { Scheduler } from '../../src/scheduler/scheduler.ts';
import { createTokenizer } from '../../src/tokenizer/tokenizer.ts';
import { SMOLLM2_GOLDENS } from './smollm2-goldens.ts';

const MAX_TOKENS = 64;

/** The default model's file, as test/support/serve-default-model.ts serves it. */
export async function openSmolLm2(url: string): Promise<ModelFile> {
  const ignore = (): void => {};
  return readModelFile(await openSource(url, { baseUrl: url, storage: null, onProgress: ignore, log: ignore }));
}

/** Every golden chat at once through scheduler, engine and GPU: the greedy ids of each, by its name. */
export async function answerGoldens(file: ModelFile, loaded: LoadedRunner): Promise<ReadonlyMap<string, number[]>> {
  const { stopTokenIds } = createTokenizer(file.metadata);
  const { prompts } = SMOLLM2_GOLDENS;
  const scheduler = new Scheduler(loaded.scheduler);
  const engine = new Engine({ scheduler, runner: loaded.runner, clock: () => performance.now() });
  const answers = new Map<string, number[]>();
  for (const { name, promptTokenIds } of prompts) {
    const sampling = { temperature: 0, seed: 0, maxTokens: MAX_TOKENS, stopTokenIds };
    engine.add({ requestId: name, sessionId: name, choice: 0, promptTokenIds, sampling, arrivalTime: 0 });
    answers.set(name, []);
  }
  const stop = new AbortController();
  let ended = 0;
  for await (const outputs of engine.run(stop.signal)) {
    for (const { requestId, newTokenIds, finishReason } of outputs) {
      answers.get(requestId)?.push(...newTokenIds);
      if (finishReason !== undefined) ended++;
    }
    if (ended === prompts.length) stop.abort();
  }
  return answers;
}
