import { TabserveError } from '../core/errors.ts';
import type { EngineRequest } from '../core/request.ts';
import type { SchedulerConfig } from '../core/scheduler-output.ts';

/** The most tokens of a sequence: the configured limit, or what the whole block pool holds if that is less. */
export function effectiveMaxModelLen(config: SchedulerConfig): number {
  return Math.min(config.maxModelLen, config.numBlocks * config.blockSize);
}

/**
 * Refuses a request that could never run.
 * @throws TabserveError `invalid_request`, or `context_length_exceeded` when no token could follow the prompt.
 */
export function checkRequest(request: EngineRequest, config: SchedulerConfig): void {
  const { requestId, promptTokenIds, outputTokenIds = [], sampling } = request;
  const numPromptTokens = promptTokenIds.length;
  if (numPromptTokens === 0) {
    const message = `The prompt of request ${requestId} is empty.`;
    throw new TabserveError('invalid_request', message, { param: 'promptTokenIds' });
  }
  if (!(sampling.maxTokens >= 1)) {
    const message = `Request ${requestId} asks for ${sampling.maxTokens} tokens; at least 1 is needed.`;
    throw new TabserveError('invalid_request', message, { param: 'maxTokens' });
  }
  if (!Number.isFinite(request.priority ?? 0)) {
    throw new TabserveError('invalid_request', `Priority ${request.priority} is not a number.`, { param: 'priority' });
  }
  const lastTokenId = outputTokenIds.at(-1);
  const hasStopped = lastTokenId !== undefined && sampling.stopTokenIds.includes(lastTokenId);
  if (outputTokenIds.length >= sampling.maxTokens || hasStopped) {
    const message = `Request ${requestId} has ended already: there is nothing left to generate.`;
    throw new TabserveError('invalid_request', message, { param: 'outputTokenIds' });
  }
  const numTokens = numPromptTokens + outputTokenIds.length;
  const what = `The prompt${outputTokenIds.length > 0 ? ', with what has been generated,' : ''} has ${numTokens} tokens`;
  if (numTokens >= config.maxModelLen) {
    throw new TabserveError(
      'context_length_exceeded',
      `${what}, but the context holds ${config.maxModelLen}, the answer included. ` +
        'Shorten the prompt, or load the model with a larger maxModelLen or kvCacheBytes: client.model.contextCut says which.',
    );
  }
  const capacity = effectiveMaxModelLen(config);
  if (numTokens >= capacity) {
    throw new TabserveError(
      'context_length_exceeded',
      `${what}, but the KV cache holds ${capacity}, the answer included. ` +
        'Shorten the prompt, or load the model with a larger kvCacheBytes.',
    );
  }
}

/** @throws TabserveError `internal` where a limit is not a positive integer. */
export function checkConfig(config: SchedulerConfig): void {
  for (const [name, value] of Object.entries(config)) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new TabserveError('internal', `SchedulerConfig.${name} is ${value}; a positive integer is needed.`);
  }
}
