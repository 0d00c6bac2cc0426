import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import type { ChatMessage } from '../../../src/core/protocol.ts';
import { parseTemplate } from '../../../src/tokenizer/jinja/syntax.ts';
import { createTokenizer } from '../../../src/tokenizer/tokenizer.ts';
import { tinyTokenizer } from '../../support/tiny-tokenizer.ts';
import { type Golden, modelTemplates, NOW, outcome, reader, type Variables, withoutWords } from './template-goldens.ts';

interface Constructs {
  readonly variables: Variables;
  readonly cases: readonly (Golden & { readonly template: string })[];
}

const CONSTRUCTS = JSON.parse(
  readFileSync(new URL('../../goldens/jinja2-constructs.json', import.meta.url), 'utf8'),
) as Constructs;
const TEMPLATES = modelTemplates();

describe('the template language, as Jinja2 has it', () => {
  it.each(CONSTRUCTS.cases)('$template', ({ template, ...golden }) => {
    expect(outcome(() => parseTemplate(template), CONSTRUCTS.variables)).toEqual(withoutWords(golden));
  });
});

describe('templates of models: the text that Jinja2 makes of them, or no text where it makes none', () => {
  it('there are enough of them', () => {
    expect(TEMPLATES.length).toBeGreaterThanOrEqual(51);
  });

  it.each(TEMPLATES)('$name', ({ name, source, goldens }) => {
    const read = reader(source);
    const cases = Object.entries(goldens.expected[name] ?? {});
    expect(cases.length).toBe(Object.keys(goldens.contexts).length);
    const rendered = cases.map(([context]) => [context, outcome(read, goldens.contexts[context] ?? {})] as const);
    expect(rendered).toEqual(cases.map(([context, golden]) => [context, withoutWords(golden)]));
  });
});

describe('templates of models, through the tokenizer', () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ['Date'], now: NOW }));
  afterEach(() => vi.useRealTimers());

  it.each(TEMPLATES)('$name', ({ name, source, goldens }) => {
    const { 'tools-undefined': withoutTools = { error: '' }, ...cases } = goldens.expected[name] ?? {};
    if ('error' in withoutTools) return expectRefused(source);
    const tokenizer = tokenizerOf(source);
    expect(chat(tokenizer, goldens.contexts['tools-undefined'])).toEqual(withoutTools);
    for (const context of ['three-turns', 'system']) {
      const golden = cases[context] ?? { error: '' };
      // These are of `tools` that are None, which some templates cannot take; a chat has none at all.
      const isOfNone = 'error' in (cases['one-user'] ?? {});
      if (!isOfNone) expect([context, chat(tokenizer, goldens.contexts[context])]).toEqual([context, withoutWords(golden)]);
    }
    return undefined;
  });
});

const NAMES = ['<bos>', '<eos>', '<pad>'];
const DEFAULTS = Object.fromEntries(Object.entries(tinyTokenizer(259)).map(([key, { value }]) => [key, value]));
const TOKENS = [...NAMES, ...(DEFAULTS['tokenizer.ggml.tokens'] as readonly string[]).slice(NAMES.length)];

function tokenizerOf(source: string): ReturnType<typeof createTokenizer> {
  return createTokenizer({
    ...DEFAULTS,
    'tokenizer.ggml.tokens': TOKENS,
    'tokenizer.ggml.merges': ['\u0120 \u0120'],
    'tokenizer.ggml.bos_token_id': 0,
    'tokenizer.ggml.eos_token_id': 1,
    'tokenizer.chat_template': source,
  });
}

/** The prompt's text, put together from its ids; an error in the goldens' words. */
function chat(tokenizer: ReturnType<typeof createTokenizer>, variables: Variables = {}): Golden {
  try {
    const ids = tokenizer.encodeChat(variables['messages'] as readonly ChatMessage[]);
    const detokenizer = tokenizer.createDetokenizer();
    return { text: ids.map((id) => NAMES[id] ?? detokenizer.decode(id)).join('') };
  } catch (error) {
    if (!(error instanceof TabserveError)) throw error;
    const { code, param, message } = error;
    if (code === 'unsupported_model') return { error: 'fault' };
    expect({ code, param }).toEqual({ code: 'invalid_request', param: 'messages' });
    return { error: `raise_exception: ${message.split('refuses these messages: ')[1]}` };
  }
}

function expectRefused(source: string): void {
  expect(() => tokenizerOf(source)).toThrow(expect.objectContaining({ code: 'unsupported_model' }));
}
