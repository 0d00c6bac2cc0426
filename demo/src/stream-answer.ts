import type { AnswerStream } from './contract.ts';
import type { AnswerState, AnswerStats } from './conversation.ts';
import { toProblem } from './problems.ts';

/** The part of an answer that has arrived. */
export interface AnswerPart {
  readonly text: string;
  readonly stats: AnswerStats;
  /** The tokens of the prompt and of the text so far. */
  readonly stream: Pick<AnswerStream, 'promptTokenIds' | 'tokenIds'>;
}

/**
 * Reads an answer, and hands on what comes; never rejects.
 *
 * @param ask begins it
 * @param onPart called with each new piece of text (empty at the end) and the figures so far
 * @returns the state that the answer ended in
 */
export async function streamAnswer(
  ask: () => Promise<AnswerStream>, signal: AbortSignal, onPart: (part: AnswerPart) => void,
): Promise<AnswerState> {
  let tokens = 0;
  let reason: string | null = null;
  try {
    const stream = await ask();
    for await (const { choices } of stream) {
      const choice = choices[0];
      reason = choice?.finish_reason ?? reason;
      const text = textOf(choice);
      if (text !== '') onPart({ text, stats: { ...stream.timings, tokens: ++tokens }, stream });
      if (signal.aborted) break; // with the text of all tokens that have been read
    }
    onPart({ text: '', stats: { ...stream.timings, tokens: stream.usage?.completion_tokens ?? tokens }, stream });
  } catch (error) {
    const problem = toProblem(error);
    // The model is there, but had to make room for another: it comes back with the next question.
    const remedy = problem.code === 'model_busy' ? 'retry' : problem.remedy;
    if (!signal.aborted) return { kind: 'failed', problem: { ...problem, remedy } };
  }
  if (signal.aborted) return { kind: 'stopped' };
  return { kind: reason === 'length' ? 'length' : 'done' };
}

type Choice = AnswerStream extends AsyncIterable<infer Chunk extends { readonly choices: readonly unknown[] }> ? Chunk['choices'][number] : never;

/** Of a chat's chunk, or a text's. */
function textOf(choice: Choice | undefined): string {
  if (choice === undefined) return '';
  return 'text' in choice ? choice.text : (choice.delta.content ?? '');
}
