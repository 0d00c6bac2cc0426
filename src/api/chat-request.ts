import { TabserveError } from '../core/errors.ts';
import { type Body, integerIn, invalid } from './body-fields.ts';
import { parseMessages } from './chat-messages.ts';
import { CHAT_PARAMETERS } from './chat-parameters.ts';
import { type CompletionContext, type CompletionRequest, parseShared } from './completion-request.ts';
import { refuseUnsupported } from './parameters.ts';

function parseMaxTokens(body: Body): number | undefined {
  const current = integerIn(body, 'max_completion_tokens', 1, Number.MAX_SAFE_INTEGER);
  const older = integerIn(body, 'max_tokens', 1, Number.MAX_SAFE_INTEGER);
  if (current !== undefined && older !== undefined && current !== older) {
    throw invalid('"max_tokens" and "max_completion_tokens" mean the same and differ; give one of them.', 'max_tokens');
  }
  return current ?? older;
}

/**
 * Parses the body of an OpenAI chat completion request. By default, as many tokens as the context holds are generated.
 *
 * @throws TabserveError `unsupported_parameter` or `invalid_request`, with the parameter's name in `param`
 */
export function parseChatRequest(body: unknown, context: CompletionContext): CompletionRequest {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new TabserveError('invalid_request', 'A chat request must be an object with "messages".');
  }
  const fields = body as Body;
  refuseUnsupported(fields, CHAT_PARAMETERS);
  const { generate, ...shared } = parseShared(fields, context);
  const prompts = [{ messages: parseMessages(fields['messages']) }];
  return { prompts, generate: { ...generate, maxTokens: parseMaxTokens(fields) }, ...shared };
}
