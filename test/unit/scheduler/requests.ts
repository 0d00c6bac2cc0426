import type { EngineRequest, SamplingParams } from '../../../src/core/request.ts';
import type { SchedulerConfig } from '../../../src/core/scheduler-output.ts';
import { createRandom, deriveSeed } from '../../support/random.ts';
import type { Random } from '../../support/random.ts';
import { VOCAB_SIZE } from './fake-runner.ts';

export const CONFIG: SchedulerConfig = {
  blockSize: 4,
  numBlocks: 32,
  maxNumBatchedTokens: 16,
  maxNumSeqs: 4,
  maxModelLen: 64,
  maxStepsPerPlan: 1,
};

/** Requests of different ids have different prompts, and share none of their blocks. */
export function makeRequest(
  requestId: string,
  promptLength: number,
  sampling: Partial<SamplingParams> = {},
  rest: Partial<EngineRequest> = {},
): EngineRequest {
  const random = createRandom(deriveSeed(promptLength, requestId));
  return {
    requestId,
    sessionId: 'tab',
    choice: 0,
    promptTokenIds: Array.from({ length: promptLength }, () => random.below(VOCAB_SIZE)),
    sampling: { temperature: 0, seed: 1, maxTokens: 8, stopTokenIds: [], ...sampling },
    arrivalTime: 0,
    ...rest,
  };
}

/** A request of random shape that fits `maxModelLen`. */
export function randomRequest(
  random: Random,
  requestId: string,
  maxModelLen: number,
  arrivalTime: number,
): EngineRequest {
  const below = (n: number): number => random.below(n);
  const promptLength = 1 + below(below(2) === 0 ? Math.min(6, maxModelLen - 1) : maxModelLen - 1);
  return {
    requestId,
    sessionId: `tab${below(3)}`,
    choice: below(2),
    promptTokenIds: Array.from({ length: promptLength }, () => below(VOCAB_SIZE)),
    sampling: {
      temperature: below(2),
      seed: random.uint32(),
      maxTokens: below(4) === 0 ? Infinity : 1 + below(30),
      repetitionPenalty: promptLength % 3 === 0 ? 1.5 : undefined,
      stopTokenIds: Array.from({ length: below(3) }, () => below(VOCAB_SIZE)),
    },
    arrivalTime,
  };
}
