import type { Frame } from '../core/frames.ts';
import type { GenerateRequest, Prompt } from '../core/protocol.ts';
import type { EngineRequest, RequestOutput } from '../core/request.ts';
import type { SchedulerSnapshot } from '../core/snapshot.ts';
import type { Task } from '../core/cooperative-task.ts';
import type { Detokenizer } from '../tokenizer/detokenizer.ts';
import { encodePrompt } from './encode-prompt.ts';
import type { ConnectedSession } from './session-registry.ts';
import { checkLogitBias } from './logit-bias.ts';
import type { ServedModel, ServedTokenizer } from './served-model.ts';
import { OutputProcessor } from './output-processor.ts';

/** A request that has not ended, with its tokens so far: enough to go on with it on another engine. */
export class ActiveRequest {
  readonly session: ConnectedSession;
  readonly processor: OutputProcessor;
  readonly #request: EngineRequest;
  readonly #tokenIds: number[];
  /** Whether it has been in a queue before. A full queue refuses only requests that have not. */
  #isResumed: boolean;

  /** @param request with `outputTokenIds` where it comes from a worker that has died. The processor has replayed them. */
  constructor(session: ConnectedSession, processor: OutputProcessor, request: EngineRequest) {
    this.session = session;
    this.processor = processor;
    this.#request = request;
    this.#tokenIds = [...(request.outputTokenIds ?? [])];
    this.#isResumed = request.outputTokenIds !== undefined;
  }

  /** Whether it has been in a queue before. */
  get isResumed(): boolean {
    return this.#isResumed;
  }

  get deadline(): number | undefined {
    return this.#request.deadline;
  }

  get promptTokenIds(): readonly number[] {
    return this.#request.promptTokenIds;
  }

  /** It now waits for an engine in the worker's own queue. */
  enqueue(): void {
    this.#isResumed = true;
  }

  /** The request for the next engine. */
  toEngineRequest(): EngineRequest {
    const request = this.#isResumed ? { ...this.#request, outputTokenIds: [...this.#tokenIds] } : this.#request;
    this.#isResumed = true;
    return request;
  }

  /** Its part of a snapshot while there is no engine. */
  toSnapshot(): SchedulerSnapshot['requests'][number] {
    const { requestId, sessionId, promptTokenIds } = this.#request;
    const numTokens = promptTokenIds.length + this.#tokenIds.length;
    return { requestId, sessionId, state: 'waiting', numTokens, numComputedTokens: 0, blockTable: [] };
  }

  /** Adds tokens that an engine has generated, and returns them as frames. */
  process(output: RequestOutput): readonly Frame[] {
    this.#tokenIds.push(...output.newTokenIds);
    return this.processor.process(output);
  }
}

/** The model and the session of a new request. */
interface RequestContext extends Pick<ServedModel, 'tokenizer' | 'info'> {
  /** Whether its session allows keeping it in storage. */
  readonly persistPrefix: boolean;
  /** Engine-clock milliseconds of its arrival. */
  readonly now: number;
}

/**
 * A task that gives the token ids of a request's prompt. If a worker that has died had encoded it, its ids are taken.
 *
 * @throws TabserveError `invalid_request` for a bias of a token that the model does not have; see {@link encodePrompt}
 */
export function* promptOf(
  { prompt, logits, resume }: GenerateRequest,
  model: Pick<ServedModel, 'tokenizer' | 'info'>,
): Task<readonly number[]> {
  checkLogitBias(logits, model.info);
  return resume?.promptTokenIds ?? (yield* encodePrompt(prompt, model));
}

/** Turns a tab's request and its encoded prompt into a request for an engine. */
export function createActiveRequest(
  session: ConnectedSession,
  request: GenerateRequest,
  promptTokenIds: readonly number[],
  { tokenizer, info, persistPrefix, now }: RequestContext,
): ActiveRequest {
  const { requestId, choice = 0, completionId, temperature, seed, logits, resume } = request;
  const { timeoutMs, ...scheduling } = request.scheduling ?? {};
  const { stopTokenIds } = tokenizer;
  const processor = new OutputProcessor({
    requestId, choice, promptTokens: promptTokenIds.length, arrivalTime: now, stopTokenIds,
    stops: request.stop, detokenizer: detokenizerBehind(request.prompt, promptTokenIds, tokenizer),
  });
  if (resume !== undefined) processor.replay(resume.tokenIds);
  const sampling = { ...logits, temperature, seed, maxTokens: request.maxTokens ?? info.maxModelLen, stopTokenIds };
  const deadline = timeoutMs === undefined ? undefined : now + timeoutMs;
  return new ActiveRequest(session, processor, {
    requestId, sessionId: session.sessionId, choice, completionId, promptTokenIds, sampling, arrivalTime: now, deadline,
    ...scheduling, persistPrefix, outputTokenIds: resume?.tokenIds,
  });
}

/** The most tokens that can hold an incomplete code point, which has four bytes at most. */
const MAX_TOKENS_OF_A_BEGINNING = 3;

/**
 * A detokenizer for the tokens after a prompt. A prompt that is text or token ids may end within a character, or before a
 * word whose space is part of its token. An answer to messages begins anew.
 */
function detokenizerBehind(prompt: Prompt, promptTokenIds: readonly number[], tokenizer: ServedTokenizer): Detokenizer {
  const detokenizer = tokenizer.createDetokenizer();
  if (!('messages' in prompt)) for (const id of promptTokenIds.slice(-MAX_TOKENS_OF_A_BEGINNING)) detokenizer.decode(id);
  return detokenizer;
}
