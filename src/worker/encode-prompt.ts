import { TabserveError } from '../core/errors.ts';
import type { ModelInfo, Prompt } from '../core/protocol.ts';
import type { Task } from '../core/cooperative-task.ts';
import type { ServedTokenizer } from './served-model.ts';

/**
 * A task that gives the token ids of a prompt.
 *
 * @throws TabserveError `invalid_request` where there are none, where the model lacks one, or where the chat template
 *   refuses the messages; `context_length_exceeded` for a text longer than any prompt that fits
 */
export function* encodePrompt(
  prompt: Prompt,
  { tokenizer, info }: { readonly tokenizer: ServedTokenizer; readonly info: Pick<ModelInfo, 'vocabSize'> },
): Task<readonly number[]> {
  if ('messages' in prompt) return yield* tokenizer.chatTask(prompt.messages);
  if ('text' in prompt) return checkLength(yield* tokenizer.promptTask(prompt.text));
  return checkLength(checkTokenIds(prompt.tokenIds, info.vocabSize));
}

function checkLength(ids: readonly number[]): readonly number[] {
  if (ids.length > 0) return ids;
  throw new TabserveError('invalid_request', '"prompt" is empty; it needs at least one token.', { param: 'prompt' });
}

/** An unknown id would read beyond the embedding. */
function checkTokenIds(ids: readonly number[], vocabSize: number): readonly number[] {
  const unknown = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
  if (unknown === undefined) return ids;
  const message = `"prompt" has the token ${unknown}; the model has tokens 0 to ${vocabSize - 1}.`;
  throw new TabserveError('invalid_request', message, { param: 'prompt' });
}
