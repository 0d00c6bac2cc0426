import { describe, expect, test } from 'vitest';
import { parseChatRequest } from '../../../src/api/chat-request.ts';
import { TabserveError } from '../../../src/core/errors.ts';

const context = { modelNames: ['hf:a/b/c.gguf', './c.gguf'], randomSeed: () => 77 };
const messages = [{ role: 'user', content: 'Hi' }];
const parse = (more: Record<string, unknown> = {}) => parseChatRequest({ messages, ...more }, context);

function refusal(body: unknown): { code: string; param: string | undefined; message: string } {
  try {
    parseChatRequest(body, context);
  } catch (error) {
    if (error instanceof TabserveError) return { code: error.code, param: error.param, message: error.message };
    throw error;
  }
  throw new Error('The request was accepted.');
}

describe('what is accepted', () => {
  test('defaults are OpenAI\'s', () => {
    expect(parse()).toEqual({
      prompts: [{ messages }],
      generate: { maxTokens: undefined, temperature: 1, seed: 77, stop: [] },
      n: 1,
      stream: false,
      includeUsage: false,
    });
  });

  test('every parameter that is read', () => {
    const body = {
      model: './c.gguf', max_tokens: 5, temperature: 0, seed: 3, stop: 'END', stream: true,
      stream_options: { include_usage: true }, n: 2, top_p: 1, user: 'me', store: false,
    };
    expect(parse(body)).toEqual({
      prompts: [{ messages }],
      generate: { maxTokens: 5, temperature: 0, seed: 3, stop: ['END'] },
      n: 2,
      stream: true,
      includeUsage: true,
    });
  });

  test('tabserve\'s own options', () => {
    const tabserve = { priority: -3, timeout_ms: 1500.5, supersede: 'line 7', cache_salt: 'private' };
    const scheduling = { priority: -3, timeoutMs: 1500.5, supersede: 'line 7', cacheSalt: 'private' };
    expect(parse({ tabserve }).generate.scheduling).toEqual(scheduling);
    expect(parse({ tabserve: { priority: null, supersede: null } }).generate.scheduling).toEqual({});
    expect(parse({ tabserve: null })).toEqual(parse());
  });

  test('null is the same as absent', () => {
    const names = ['model', 'max_tokens', 'max_completion_tokens', 'temperature', 'seed', 'stop', 'stream',
      'stream_options', 'n', 'top_p', 'tools', 'logit_bias', 'response_format'];
    expect(parse(Object.fromEntries(names.map((name) => [name, null])))).toEqual(parse());
  });

  test('a parameter not implemented, at the value that asks for nothing', () => {
    const neutral = { frequency_penalty: 0, presence_penalty: 0, logprobs: false, tools: [], logit_bias: {},
      response_format: { type: 'text' }, modalities: ['text'], top_k: -1, repetition_penalty: 1, service_tier: 'auto' };
    expect(parse(neutral)).toEqual(parse());
  });

  test('sampling parameters', () => {
    const body = {
      top_p: 0.9, top_k: 40, min_p: 0.05, repetition_penalty: 1.1, presence_penalty: -2, frequency_penalty: 0.5,
      logit_bias: { 0: -100, 50256: 1.5, 7: 0 },
    };
    expect(parse(body).generate.logits).toEqual({
      topP: 0.9, topK: 40, minP: 0.05, repetitionPenalty: 1.1, presencePenalty: -2, frequencyPenalty: 0.5,
      logitBias: [[0, -100], [50256, 1.5]],
    });
    expect(parse({ top_p: 1e-9, top_k: 0 }).generate.logits).toEqual({ topP: 1e-9 });
    const biases = (n: number) => Object.fromEntries(Array.from({ length: n }, (_, i) => [i, 1]));
    expect(parse({ logit_bias: biases(1024) }).generate.logits?.logitBias).toHaveLength(1024);
    expect(refusal({ messages, logit_bias: biases(1025) })).toMatchObject({ code: 'invalid_request', param: 'logit_bias' });
  });

  test('text parts are joined, a developer message is a system message, an answer can be sent back as it came', () => {
    const parts = [{ type: 'text', text: 'a' }, { type: 'text', text: '\nb' }];
    const given = [
      { role: 'developer', content: parts },
      { role: 'assistant', content: 'x', refusal: null, tool_calls: [], annotations: [] },
    ];
    expect(parse({ messages: given }).prompts).toEqual([{
      messages: [{ role: 'system', content: 'a\nb' }, { role: 'assistant', content: 'x' }],
    }]);
  });

  test.each([[-1, 0xffffffff], [2 ** 32 + 5, 5], [0, 0], [0xffffffff, 0xffffffff]])('seed %d', (seed, expected) => {
    expect(parse({ seed }).generate.seed).toBe(expected);
  });

  test('the token limit has two names', () => {
    expect(parse({ max_completion_tokens: 9 }).generate.maxTokens).toBe(9);
    expect(parse({ max_completion_tokens: 9, max_tokens: 9 }).generate.maxTokens).toBe(9);
  });
});

describe('what is refused', () => {
  test.each<[string, unknown]>([
    ['logprobs', true],
    ['top_logprobs', 3], ['tools', [{}]], ['tool_choice', 'required'], ['functions', [{}]], ['audio', { voice: 'x' }],
    ['response_format', { type: 'json_object' }], ['modalities', ['text', 'audio']], ['prediction', { type: 'x' }],
    ['reasoning_effort', 'high'], ['reasoning_effort', 'none'], ['service_tier', 'flex'], ['store', true], ['metadata', { a: 'b' }],
    ['prompt_cache_retention', '24h'], ['web_search_options', {}], ['guided_json', {}], ['moderation', { a: 1 }], ['web_search_options', { a: 1 }], ['verbosity', 'low'],
    ['stop_token_ids', [1]],
  ])('%s is not supported', (param, value) => {
    const error = refusal({ messages, [param]: value });
    expect(error).toMatchObject({ code: 'unsupported_parameter', param });
    expect(error.message).toContain(`"${param}"`);
  });

  test.each<[string, unknown]>([
    ['temprature', 1], ['constructor', 1], ['temperature', 2.1], ['temperature', -0.1], ['temperature', NaN],
    ['temperature', '0'], ['max_tokens', 0], ['max_tokens', 1.5], ['max_completion_tokens', -3], ['seed', 0.5],
    ['seed', 'x'], ['stop', ['a', 'b', 'c', 'd', 'e']], ['stop', ''], ['stop', 'x'.repeat(4097)], ['stop', [1]], ['stream', 'yes'],
    ['stream_options', {}], ['model', 'gpt-4o'], ['model', 5], ['messages', []], ['messages', 'Hi'],
    ['n', '1'], ['n', 0], ['n', 17], ['n', 1.5], ['top_p', 0], ['top_p', 1.1], ['top_p', '0.5'], ['top_k', -2], ['top_k', 1.5], ['min_p', -0.1], ['min_p', 1.1],
    ['repetition_penalty', 0], ['repetition_penalty', -1], ['repetition_penalty', Infinity], ['presence_penalty', 2.1],
    ['frequency_penalty', -2.1], ['frequency_penalty', NaN], ['logit_bias', { 5: 100.5 }], ['logit_bias', { 5: '1' }],
    ['logit_bias', { x: 1 }], ['logit_bias', { '-1': 1 }], ['logit_bias', { 1.5: 1 }], ['logit_bias', [1]],
    ['logit_bias', 5], ['logit_bias', { 5: NaN }], ['logit_bias', { '01': 1 }],
  ])('%s: %j is invalid', (param, value) => {
    const error = refusal({ messages, [param]: value });
    expect(error).toMatchObject({ code: 'invalid_request', param });
    expect(error.message).toContain(`"${param}"`);
  });

  test.each<[string, string, unknown]>([
    ['invalid_request', 'messages[1]', 'Hi'],
    ['invalid_request', 'messages[1].role', { role: 'bot', content: '' }],
    ['invalid_request', 'messages[1].role', { role: 'toString', content: '' }],
    ['invalid_request', 'messages[1].role', { content: '' }],
    ['invalid_request', 'messages[1].content', { role: 'user' }],
    ['invalid_request', 'messages[1].content', { role: 'assistant', content: null }],
    ['invalid_request', 'messages[1].content[0]', { role: 'user', content: ['Hi'] }],
    ['invalid_request', 'messages[1].content[0].text', { role: 'user', content: [{ type: 'text' }] }],
    ['invalid_request', 'messages[1].text', { role: 'user', content: '', text: 'Hi' }],
    ['unsupported_parameter', 'messages[1].role', { role: 'tool', content: '' }],
    ['unsupported_parameter', 'messages[1].name', { role: 'user', content: '', name: 'Ann' }],
    ['unsupported_parameter', 'messages[1].tool_calls', { role: 'assistant', content: '', tool_calls: [{}] }],
    ['unsupported_parameter', 'messages[1].content[1].type',
      { role: 'user', content: [{ type: 'text', text: '' }, { type: 'image_url' }] }],
  ])('%s at %s', (code, param, message) => {
    expect(refusal({ messages: [...messages, message] })).toMatchObject({ code, param });
  });

  test.each<[string, Record<string, unknown>]>([
    ['stream_options.x', { stream: true, stream_options: { x: 1 } }],
    ['stream_options.include_usage', { stream: true, stream_options: { include_usage: 1 } }],
    ['stream_options.include_obfuscation', { stream: true, stream_options: { include_obfuscation: 1 } }],
    ['user', { user: 5 }],
    ['max_tokens', { max_tokens: 4, max_completion_tokens: 5 }],
    ['tabserve', { tabserve: 5 }], ['tabserve', { tabserve: [] }], ['tabserve.x', { tabserve: { x: 1 } }],
    ['tabserve.priority', { tabserve: { priority: 0.5 } }], ['tabserve.priority', { tabserve: { priority: '1' } }],
    ['tabserve.priority', { tabserve: { priority: -Infinity } }],
    ['tabserve.timeout_ms', { tabserve: { timeout_ms: 0 } }], ['tabserve.timeout_ms', { tabserve: { timeout_ms: NaN } }],
    ['tabserve.timeout_ms', { tabserve: { timeout_ms: Infinity } }],
    ['tabserve.supersede', { tabserve: { supersede: '' } }], ['tabserve.cache_salt', { tabserve: { cache_salt: 7 } }],
    ['tabserve.cache_salt', { tabserve: { cache_salt: 'x'.repeat(1025) } }],
  ])('%s, in %j', (param, body) => {
    expect(refusal({ messages, ...body })).toMatchObject({ code: 'invalid_request', param });
  });

  test('an option of a stream that is not supported', () => {
    const body = { messages, stream: true, stream_options: { include_obfuscation: true } };
    const param = 'stream_options.include_obfuscation';
    expect(refusal(body)).toMatchObject({ code: 'unsupported_parameter', param });
  });

  test.each([undefined, null, 'Hi', [messages]])('a body that is %j', (body) => {
    expect(refusal(body)).toMatchObject({ code: 'invalid_request' });
  });

  test('an unknown model names the one there is', () => {
    expect(refusal({ messages, model: 'gpt-4o' }).message).toContain('"hf:a/b/c.gguf"');
  });
});
