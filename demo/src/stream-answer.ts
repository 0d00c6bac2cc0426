import type { ChatClient, ChatRequest } from './contract.ts';
import type { AnswerState, AnswerStats } from './conversation.ts';
import { toProblem } from './problems.ts';

/** What has come of an answer so far. */
export interface AnswerPart {
  readonly text: string;
  readonly stats: AnswerStats;
}

/**
 * Asks, and hands on what comes; never rejects.
 *
 * @param onPart called with each new piece of text (empty at the end) and the figures so far
 * @returns the state that the answer ended in
 */
export async function streamAnswer(
  client: ChatClient, request: ChatRequest, signal: AbortSignal, onPart: (part: AnswerPart) => void,
): Promise<AnswerState> {
  let tokens = 0;
  let reason: string | null = null;
  try {
    const stream = await client.chat.completions.create(request, { signal });
    for await (const { choices } of stream) {
      const choice = choices[0];
      if (signal.aborted) break;
      reason = choice?.finish_reason ?? reason;
      const text = choice?.delta.content ?? '';
      if (text !== '') onPart({ text, stats: { ...stream.timings, tokens: ++tokens } });
    }
    onPart({ text: '', stats: { ...stream.timings, tokens: stream.usage?.completion_tokens ?? tokens } });
  } catch (error) {
    const problem = toProblem(error);
    // The model is there, but had to make room for another: it comes back with the next question.
    const remedy = problem.code === 'model_busy' ? 'retry' : problem.remedy;
    if (!signal.aborted) return { kind: 'failed', problem: { ...problem, remedy } };
  }
  if (signal.aborted) return { kind: 'stopped' };
  return { kind: reason === 'length' ? 'length' : 'done' };
}
