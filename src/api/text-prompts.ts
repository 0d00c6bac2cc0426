import type { Prompt } from '../core/protocol.ts';
import { invalid } from './body-fields.ts';

const NEEDED = '"prompt" must be a text, an array of token ids, or an array of texts or of arrays of token ids';

/** A prompt that is not messages. */
export type TextPrompt = Exclude<Prompt, { readonly messages: unknown }>;

/**
 * Reads a text completion's `prompt`: one prompt or several.
 *
 * @throws TabserveError `invalid_request`, param `prompt`
 */
export function parsePrompts(prompt: unknown): readonly TextPrompt[] {
  if (!Array.isArray(prompt)) return [parsePrompt(prompt, '"prompt"')];
  if (prompt.length === 0) throw empty('"prompt"');
  if (prompt.every((item) => typeof item === 'number')) return [parsePrompt(prompt, '"prompt"')];
  return prompt.map((item: unknown, index) => parsePrompt(item, `"prompt[${index}]"`));
}

function parsePrompt(prompt: unknown, name: string): TextPrompt {
  if (typeof prompt === 'string') {
    if (prompt === '') throw empty(name);
    return { text: prompt };
  }
  if (!Array.isArray(prompt)) throw invalid(`${NEEDED}.`, 'prompt');
  if (prompt.length === 0) throw empty(name);
  return { tokenIds: prompt.map((id: unknown) => parseTokenId(id, name)) };
}

/** Whether the model has it is for the worker to say. */
function parseTokenId(id: unknown, name: string): number {
  if (typeof id === 'number' && Number.isSafeInteger(id) && id >= 0) return id;
  throw invalid(`${name} has ${JSON.stringify(id) ?? String(id)} among its token ids: not a whole number of at least 0.`, 'prompt');
}

function empty(name: string): Error {
  return invalid(`${name} is empty; it needs a character or a token at least.`, 'prompt');
}
