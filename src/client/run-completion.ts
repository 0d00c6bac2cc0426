import type { Answer } from '../api/completion-form.ts';
import type { CompletionRequest } from '../api/completion-request.ts';
import type { CompletionUsage } from '../api/completion-types.ts';
import type { ParsedRequest } from '../api/endpoints.ts';
import { TabserveError, toTabserveError } from '../core/errors.ts';
import type { GenerateRequest } from '../core/protocol.ts';
import { untilAborted } from '../core/until-aborted.ts';
import { abortedError, checkSignal, onAbort } from './abort.ts';
import { choiceRequests, Choices } from './choices.ts';
import { CompletionStream } from './completion-stream.ts';
import type { ClientSession } from './session.ts';

/** Options of a request beside its body. */
export interface RequestOptions {
  /** Aborting it ends the request. */
  readonly signal?: AbortSignal | undefined;
}

/** The part of a client that requests use. */
export interface CompletionsContext {
  readonly session: ClientSession;
  readonly modelId: string;
  /** The names that the model answers to. */
  readonly modelNames: readonly string[];
  /** Of requests that give none. @default none */
  readonly cacheSalt: string | undefined;
}

export interface RunOptions<Chunk, Whole> extends ParsedRequest<Chunk, Whole> {
  /** When the caller asked, by `performance.now()`. */
  readonly called: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * The signal of a request's options. Other options of the OpenAI client are refused, not ignored.
 *
 * @throws TabserveError `unsupported_parameter` for any other option, `invalid_request` for what is no signal
 */
export function signalOf({ signal, ...rest }: RequestOptions): AbortSignal | undefined {
  const [param] = Object.entries(rest).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  checkSignal(signal);
  if (param === undefined) return signal;
  const instead = param === 'timeout' ? ' A request may have a time limit: tabserve.timeout_ms.' : '';
  const message = `"${param}" is no option of a request here, only "signal" is.${instead}`;
  throw new TabserveError('unsupported_parameter', message, { param });
}

/** 32 random bits, for a request without a seed. */
export function randomSeed(): number {
  return typed(() => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0);
}

/** @throws TabserveError in place of whatever the browser throws */
function typed<Value>(get: () => Value): Value {
  try {
    return get();
  } catch (error) {
    throw toTabserveError(error);
  }
}

/** Queues a completion, of whichever endpoint; resolves to its stream as soon as it is queued, or to the whole answer. */
export async function runCompletion<Chunk, Whole>(
  { session, modelId: model, cacheSalt }: CompletionsContext,
  { request, form, called, signal }: RunOptions<Chunk, Whole>,
): Promise<CompletionStream<Chunk> | Whole> {
  const created = Math.floor(Date.now() / 1000);
  if (signal?.aborted === true) throw abortedError(signal.reason);
  const requestId = typed(() => crypto.randomUUID());
  const abort = ({ all }: Choices): void => {
    for (const frames of all) session.abort(frames, abortedError(signal?.reason));
  };
  const queueing = queueAll(session, choiceRequests(withSalt(request, cacheSalt), requestId), called);
  const choices = await untilAborted(queueing.then((all) => new Choices(all, request.n)), signal, abort, abortedError);
  const header = { id: form.id(requestId), created, model };
  if (!request.stream) {
    const ended = new AbortController();
    onAbort(signal, ended.signal, () => abort(choices));
    try {
      const { answers, usage } = await collect(choices);
      return form.whole(header, answers, usage);
    } finally {
      ended.abort();
      abort(choices); // where one has failed, the others
    }
  }
  const { includeUsage } = request;
  const chunks = form.chunks(header, includeUsage);
  return new CompletionStream({ id: header.id, form: chunks, includeUsage, choices, signal, end: () => abort(choices) });
}

/** The client's salt, where the request has none of its own. */
function withSalt(request: CompletionRequest, cacheSalt: string | undefined): CompletionRequest {
  const { scheduling } = request.generate;
  if (cacheSalt === undefined || scheduling?.cacheSalt !== undefined) return request;
  return { ...request, generate: { ...request.generate, scheduling: { ...scheduling, cacheSalt } } };
}

/** Queues a request for every choice. Where one is refused, none goes on. */
async function queueAll(
  session: ClientSession,
  requests: readonly GenerateRequest[],
  called: number,
): Promise<Choices['all']> {
  const results = await Promise.allSettled(requests.map((request) => session.generate(request, called)));
  const queued = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const refused = results.find((result) => result.status === 'rejected');
  if (refused === undefined) return queued;
  for (const frames of queued) session.abort(frames, toTabserveError(refused.reason));
  throw refused.reason;
}

/** Reads all choices to their ends. */
async function collect(choices: Choices): Promise<{ readonly answers: readonly Answer[]; readonly usage: CompletionUsage }> {
  const texts = choices.all.map(() => '');
  for await (const { index, frame } of choices.read()) texts[index] += frame.text;
  const usage = choices.usage();
  const answers = choices.all.map(({ finish }, index): Answer => {
    if (finish === undefined || finish.finishReason === 'abort') {
      throw new TabserveError('aborted', 'The worker ended the request.');
    }
    return { text: texts[index] ?? '', finishReason: finish.finishReason };
  });
  if (usage === undefined) throw new TabserveError('internal', 'The answer ended before its choices did.');
  return { answers, usage };
}
