import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CHAT_PARAMETERS } from '../../../src/api/chat-parameters.ts';
import { parseChatRequest } from '../../../src/api/chat-request.ts';
import type { CompletionRequest } from '../../../src/api/completion-request.ts';
import type { ParameterTable } from '../../../src/api/parameters.ts';
import { textForm } from '../../../src/api/text-form.ts';
import { TEXT_PARAMETERS } from '../../../src/api/text-parameters.ts';
import { parseTextRequest } from '../../../src/api/text-request.ts';
import { choiceRequests } from '../../../src/client/choices.ts';
import { TabserveError } from '../../../src/core/errors.ts';

// Nothing is ignored: each parameter of each endpoint has an effect, is refused, or is documented to change nothing.

type Body = Readonly<Record<string, unknown>>;

interface Endpoint {
  readonly name: string;
  readonly table: ParameterTable;
  readonly base: Body;
  readonly parse: (body: Body) => CompletionRequest;
  /** By parameter: a value, and what of the worker's requests, or of the answer, it changes. */
  readonly effects: Readonly<Record<string, readonly [unknown, Body]>>;
}

const context = { modelNames: ['m'], randomSeed: () => 77 };

/** All that can be seen of a request: what the worker is asked, and how it is answered. */
function outcome(endpoint: Endpoint, more: Body): Body {
  const request = endpoint.parse({ ...endpoint.base, ...more });
  const { stream, includeUsage } = request;
  const echo = 'echo' in request ? (request.echo as (index: number) => string) : () => '';
  const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } as never;
  const whole = textForm(echo).whole({ id: '', created: 0, model: '' }, [{ text: 'answer', finishReason: 'stop' }], usage);
  return { requests: choiceRequests(request, 'r'), stream, includeUsage, text: whole.choices[0]?.text };
}

function refusal(endpoint: Endpoint, more: Body): { readonly code: string; readonly param: string | undefined } | undefined {
  try {
    endpoint.parse({ ...endpoint.base, ...more });
    return undefined;
  } catch (error) {
    if (error instanceof TabserveError) return { code: error.code, param: error.param };
    throw error;
  }
}

const every = (request: Body): Body => ({ requests: [expect.objectContaining(request)] });
const logits = (params: Body): Body => every({ logits: expect.objectContaining(params) as unknown });

const SHARED_EFFECTS: Endpoint['effects'] = {
  temperature: [0.5, every({ temperature: 0.5 })],
  seed: [3, every({ seed: 3 })],
  stop: ['END', every({ stop: ['END'] })],
  stream: [true, { stream: true }],
  n: [2, { requests: [expect.objectContaining({ choice: 0 }), expect.objectContaining({ choice: 1 })] }],
  top_p: [0.9, logits({ topP: 0.9 })],
  top_k: [40, logits({ topK: 40 })],
  min_p: [0.1, logits({ minP: 0.1 })],
  repetition_penalty: [1.1, logits({ repetitionPenalty: 1.1 })],
  presence_penalty: [1, logits({ presencePenalty: 1 })],
  frequency_penalty: [1, logits({ frequencyPenalty: 1 })],
  logit_bias: [{ 5: 2 }, logits({ logitBias: [[5, 2]] })],
  tabserve: [{ priority: 2 }, every({ scheduling: expect.objectContaining({ priority: 2 }) as unknown })],
};

const ENDPOINTS: readonly Endpoint[] = [
  {
    name: 'chat.completions',
    table: CHAT_PARAMETERS,
    base: { messages: [{ role: 'user', content: 'Hi' }] },
    parse: (body) => parseChatRequest(body, context),
    effects: {
      ...SHARED_EFFECTS,
      messages: [
        [{ role: 'user', content: 'Ho' }], every({ prompt: { messages: [{ role: 'user', content: 'Ho' }] } }),
      ],
      max_completion_tokens: [5, every({ maxTokens: 5 })],
      max_tokens: [5, every({ maxTokens: 5 })],
    },
  },
  {
    name: 'completions',
    table: TEXT_PARAMETERS,
    base: { prompt: 'Hi' },
    parse: (body) => parseTextRequest(body, context),
    effects: {
      ...SHARED_EFFECTS,
      prompt: [[1, 2], every({ prompt: { tokenIds: [1, 2] } })],
      max_tokens: [5, every({ maxTokens: 5 })],
      echo: [true, { text: 'Hianswer' }],
    },
  },
];

/** What a caller may try. */
const TRIES: readonly unknown[] = [
  true, false, 0, 1, 2, '', 'none', 'auto', 'default', 'low', 'medium', 'high', 'in_memory', '24h', [], [1], ['text'], [{}], {},
  { type: 'text' }, { type: 'object' },
];

const types = ['completion', 'chat', 'text'].map((name) => readFileSync(`src/api/${name}-types.ts`, 'utf8'));
const docs = types.join('\n').replace(/\n \* /g, ' ');

/** As a docstring writes it. */
function literal(value: unknown): string {
  return JSON.stringify(value).replaceAll('"', "'").replace(/^\{(.+)\}$/, '{ $1 }').replace(/'(\w+)':/, '$1: ');
}

describe.each(ENDPOINTS)('$name', (endpoint) => {
  const { table, effects } = endpoint;
  const usual = outcome(endpoint, {});

  test('each parameter that is read has a row here', () => {
    const elsewhere = ['model', 'stream_options', 'best_of']; // see below
    expect(Object.keys(effects).toSorted()).toEqual(table.supported.filter((name) => !elsewhere.includes(name)).toSorted());
    const names = [...table.supported, ...table.labels, ...Object.keys(table.unsupported)];
    expect(new Set(names).size).toBe(names.length);
  });

  test.each(Object.entries(effects))('%s has an effect', (param, [value, effect]) => {
    const got = outcome(endpoint, { [param]: value });
    expect(got).not.toEqual(usual);
    expect(got).toMatchObject(effect);
  });

  test('model is the one there is, or refused', () => {
    expect(outcome(endpoint, { model: 'm' })).toEqual(usual);
    expect(refusal(endpoint, { model: 'other' })).toEqual({ code: 'invalid_request', param: 'model' });
  });

  test('an option of a stream has an effect, asks for nothing, or is refused', () => {
    const stream = (options: Body): Body => ({ stream: true, stream_options: options });
    expect(outcome(endpoint, stream({ include_usage: true }))).toMatchObject({ includeUsage: true });
    for (const option of ['include_obfuscation', 'continuous_usage_stats']) {
      expect(outcome(endpoint, stream({ [option]: false }))).toEqual(outcome(endpoint, { stream: true }));
      const param = `stream_options.${option}`;
      expect(refusal(endpoint, stream({ [option]: true }))).toEqual({ code: 'unsupported_parameter', param });
      expect(docs).toContain(`readonly ${option}?: false | null`);
    }
  });

  test.each(table.labels)('%s is documented to be ignored', (param) => {
    expect(outcome(endpoint, { [param]: 'x' })).toEqual(usual);
    expect(refusal(endpoint, { [param]: 5 })).toEqual({ code: 'invalid_request', param });
    expect(docs).toMatch(new RegExp(`\\/\\*\\* Ignored[^\\n]*\\n {2}readonly ${param}\\?`));
  });

  test.each(Object.entries(table.unsupported))('%s is refused, but for documented values that ask for nothing', (param, passing) => {
    for (const value of passing) {
      expect(outcome(endpoint, { [param]: value })).toEqual(usual);
      expect(docs).toContain(`\`${param}: ${literal(value)}\``);
    }
    const passes = passing.map((value) => JSON.stringify(value));
    for (const value of TRIES.filter((each) => !passes.includes(JSON.stringify(each)))) {
      expect([value, refusal(endpoint, { [param]: value })]).toEqual([value, { code: 'unsupported_parameter', param }]);
    }
  });

  test('null is the same as absent, of every parameter', () => {
    const required = Object.keys(endpoint.base);
    const names = [...table.supported, ...table.labels, ...Object.keys(table.unsupported)];
    const nulls = names.filter((name) => !required.includes(name)).map((name) => [name, null] as const);
    expect(outcome(endpoint, Object.fromEntries(nulls))).toEqual(usual);
  });
});

test('the values of parameters that are read which ask for nothing', () => {
  const neutral = {
    temperature: 1, top_p: 1, top_k: 0, min_p: 0, repetition_penalty: 1, presence_penalty: 0, frequency_penalty: 0, n: 1,
    logit_bias: { 5: 0 }, stop: [], echo: false, best_of: 1, max_tokens: 16, stream: false,
  };
  for (const endpoint of ENDPOINTS.filter(({ name }) => name === 'completions')) {
    expect(outcome(endpoint, neutral)).toEqual(outcome(endpoint, {}));
  }
});
