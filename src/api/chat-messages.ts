import { TabserveError } from '../core/errors.ts';
import type { ChatMessage } from '../core/protocol.ts';

/** Fields of OpenAI's messages that mean something and are not implemented. */
const UNSUPPORTED_FIELDS = ['name', 'tool_calls', 'tool_call_id', 'function_call', 'audio', 'refusal', 'annotations'];

const ROLES: Readonly<Record<string, ChatMessage['role']>> = {
  system: 'system',
  developer: 'system',
  user: 'user',
  assistant: 'assistant',
};

function invalid(message: string, param: string): TabserveError {
  return new TabserveError('invalid_request', message, { param });
}

function unsupported(message: string, param: string): TabserveError {
  return new TabserveError('unsupported_parameter', message, { param });
}

function parseRole(role: unknown, param: string): ChatMessage['role'] {
  if (typeof role !== 'string') throw invalid(`"${param}" must be a string.`, param);
  if (role === 'tool' || role === 'function') {
    throw unsupported(`Messages of role "${role}" are not supported yet.`, param);
  }
  const parsed = Object.hasOwn(ROLES, role) ? ROLES[role] : undefined;
  if (parsed !== undefined) return parsed;
  throw invalid(`"${param}" is "${role}"; it must be system, developer, user or assistant.`, param);
}

function parsePart(part: unknown, param: string): string {
  if (typeof part !== 'object' || part === null || !('type' in part)) {
    throw invalid(`"${param}" must be an object with a "type".`, param);
  }
  if (part.type !== 'text') {
    throw unsupported(`Content of type "${String(part.type)}" is not supported yet, only text.`, `${param}.type`);
  }
  if ('text' in part && typeof part.text === 'string') return part.text;
  throw invalid(`"${param}.text" must be a string.`, `${param}.text`);
}

function parseContent(content: unknown, param: string): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw invalid(`"${param}" must be a string or an array of text parts.`, param);
  return content.map((part: unknown, index) => parsePart(part, `${param}[${index}]`)).join('');
}

function parseMessage(message: unknown, param: string): ChatMessage {
  if (typeof message !== 'object' || message === null) throw invalid(`"${param}" must be an object.`, param);
  const { role, content, ...rest } = message as Readonly<Record<string, unknown>>;
  for (const [field, value] of Object.entries(rest)) {
    if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) continue;
    const path = `${param}.${field}`;
    if (UNSUPPORTED_FIELDS.includes(field)) throw unsupported(`"${path}" is not supported yet.`, path);
    throw invalid(`Unknown field "${path}".`, path);
  }
  return { role: parseRole(role, `${param}.role`), content: parseContent(content, `${param}.content`) };
}

/**
 * OpenAI messages as the worker takes them: one text each.
 *
 * @throws TabserveError `invalid_request` or `unsupported_parameter`, with a `param` such as `messages[2].content`
 */
export function parseMessages(messages: unknown): readonly ChatMessage[] {
  if (!Array.isArray(messages)) throw invalid('"messages" must be an array of messages.', 'messages');
  if (messages.length === 0) throw invalid('"messages" is empty; it needs at least one message.', 'messages');
  return messages.map((message: unknown, index) => parseMessage(message, `messages[${index}]`));
}
