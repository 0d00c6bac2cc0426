import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Client } from '../../../src/client/client.ts';
import type { TextCompletionStream } from '../../../src/index.ts';
import { bytes, END } from '../../support/fake-model.ts';
import type { FakeEngine } from '../../support/fake-model.ts';
import { FakeOrigin } from '../../support/fake-origin.ts';
import { until } from '../../support/until.ts';

// `client.completions`: a text or token ids, and what follows them. Each byte is a token here; 256 ends an answer.

let origin: FakeOrigin;
let client: Client;
let engine: FakeEngine;

beforeEach(async () => {
  origin = new FakeOrigin();
  ({ client, engine } = await origin.openClient());
});

afterEach(() => origin.close());

/** The engine's requests, in the order of their choices' indices. */
const ids = (): string[] => [...engine.live.keys()].toSorted();

async function texts(stream: TextCompletionStream): Promise<readonly string[]> {
  const seen: string[] = [];
  for await (const { object, choices, usage } of stream) {
    for (const { index, text, logprobs, finish_reason } of choices) {
      seen.push(`${object} ${index} ${JSON.stringify(text)} ${logprobs} ${finish_reason}`);
    }
    if (choices.length === 0) seen.push(`usage ${usage?.total_tokens}`);
  }
  return seen;
}

describe('a whole text', () => {
  test('is what follows the prompt, in OpenAI’s form', async () => {
    const answer = client.completions.create({ prompt: 'Once', model: 'm', seed: 1, stop: '!' });
    await until(() => engine.live.size === 1);
    const { promptTokenIds, sampling } = [...engine.live.values()][0] ?? {};
    expect(promptTokenIds).toEqual(bytes('Once'));
    expect(sampling).toMatchObject({ maxTokens: 16, temperature: 1, seed: 1, stopTokenIds: [END] });
    engine.step({ id: engine.only, tokens: bytes(' upon!never'), cached: 3 });
    const { id, created, usage, ...rest } = await answer;
    expect(rest).toEqual({
      object: 'text_completion',
      model: 'm',
      choices: [{ index: 0, text: ' upon', logprobs: null, finish_reason: 'stop' }],
    });
    expect(id).toMatch(/^cmpl-/);
    expect(Math.abs(created - Date.now() / 1000)).toBeLessThan(10);
    expect(usage).toMatchObject({
      prompt_tokens: 4, completion_tokens: 6, total_tokens: 10, prompt_tokens_details: { cached_tokens: 3 },
    });
  });

  test('follows token ids as they are', async () => {
    const answer = client.completions.create({ prompt: [7, 256, 0], max_tokens: 1 });
    await until(() => engine.live.size === 1);
    expect([...engine.live.values()][0]).toMatchObject({ promptTokenIds: [7, 256, 0], sampling: { maxTokens: 1 } });
    engine.step({ id: engine.only, tokens: bytes('x'), finish: 'length' });
    expect((await answer).choices).toEqual([{ index: 0, text: 'x', logprobs: null, finish_reason: 'length' }]);
  });

  test('begins with the prompt where echo asks for it', async () => {
    const answer = client.completions.create({ prompt: ['a', 'b'], echo: true });
    await until(() => engine.live.size === 2);
    for (const id of ids()) engine.step({ id, tokens: [...bytes('!'), END], finish: 'stop' });
    expect((await answer).choices.map(({ text }) => text)).toEqual(['a!', 'b!']);
  });
});

describe('a batch', () => {
  test('has n choices of each prompt, each as it is alone', async () => {
    const answer = client.completions.create({ prompt: ['one', 'two'], n: 2, seed: 5 });
    await until(() => engine.live.size === 4);
    const requests = ids().map((id) => engine.live.get(id));
    expect(requests.map((request) => [request?.promptTokenIds, request?.choice, request?.sampling.seed])).toEqual([
      [bytes('one'), 0, 5], [bytes('one'), 1, 5], [bytes('two'), 0, 5], [bytes('two'), 1, 5],
    ]);
    const whole = requests[0]?.requestId.replace(':0', ''); // so that they do not supersede each other
    expect(requests.map((request) => request?.completionId)).toEqual([whole, whole, whole, whole]);
    const cached = [0, 3, 1, 2];
    ids().toReversed().forEach((id, i) => {
      engine.step({ id, tokens: [...bytes(`${3 - i}`), END], finish: 'stop', cached: cached[3 - i] ?? 0 });
    });
    const { choices, usage } = await answer;
    expect(choices.map(({ index, text }) => [index, text])).toEqual([[0, '0'], [1, '1'], [2, '2'], [3, '3']]);
    expect(usage).toMatchObject({
      prompt_tokens: 6, completion_tokens: 8, total_tokens: 14, prompt_tokens_details: { cached_tokens: 0 + 1 },
    });
  });

  test('of which one prompt is refused does not go on', async () => {
    const refused = client.completions.create({ prompt: [[1], [257]], n: 2 });
    await expect(refused).rejects.toMatchObject({ code: 'invalid_request', param: 'prompt', message: /token 257; .* 0 to 256/ });
    await until(() => engine.live.size === 0);
    expect(engine.added).toBe(2);
  });
});

describe('a stream', () => {
  test('is texts and a finish, and the usage where it is asked for', async () => {
    const stream = await client.completions.create({ prompt: 'Hi', stream: true, stream_options: { include_usage: true } });
    expect(stream.id).toMatch(/^cmpl-/);
    engine.step({ id: engine.only, tokens: bytes('ab') });
    engine.step({ id: engine.only, tokens: [END], finish: 'stop' });
    expect(await texts(stream)).toEqual([
      'text_completion 0 "a" null null', 'text_completion 0 "b" null null', 'text_completion 0 "" null stop', 'usage 5',
    ]);
  });

  test('begins each choice with its prompt where echo asks for it', async () => {
    const stream = await client.completions.create({ prompt: ['x', 'y'], echo: true, stream: true });
    const [x = '', y = ''] = ids();
    engine.step({ id: y, tokens: [...bytes('2'), END], finish: 'stop' });
    engine.step({ id: x, tokens: [...bytes('1'), END], finish: 'stop' });
    expect(await texts(stream)).toEqual([
      'text_completion 1 "y" null null', 'text_completion 1 "2" null null', 'text_completion 1 "" null stop',
      'text_completion 0 "x" null null', 'text_completion 0 "1" null null', 'text_completion 0 "" null stop',
    ]);
  });

  test('that is left early ends all requests', async () => {
    const stream = await client.completions.create({ prompt: ['x', 'y'], stream: true });
    engine.step({ id: ids()[1] ?? '', tokens: bytes('2') });
    for await (const { choices } of stream) if (choices[0]?.text === '2') break;
    await until(() => engine.live.size === 0);
  });
});

test.each(['timeout', 'maxRetries', 'headers'])('an option of the OpenAI client’s requests is refused: %s', async (param) => {
  const options = { [param]: 5 };
  const refused = { code: 'unsupported_parameter', param };
  await expect(client.completions.create({ prompt: 'a' }, options)).rejects.toMatchObject(refused);
  const messages = [{ role: 'user', content: 'a' }] as const;
  await expect(client.chat.completions.create({ messages }, options)).rejects.toMatchObject(refused);
  expect(engine.added).toBe(0);
});

test.each([{ prompt: 'Once' }, { prompt: bytes('Once') }])('goes on where it was when the worker dies: %j', async (body) => {
  const answer = client.completions.create({ ...body, seed: 5 });
  await until(() => engine.live.size === 1);
  const id = engine.only;
  engine.step({ id, tokens: bytes(' up') });
  await client.metrics(); // what was sent before has arrived
  const before = origin.workers;
  origin.kill();
  await until(() => origin.workers > before && origin.loader.loads.length > 0);
  origin.loader.last.finish();
  ({ engine } = origin.loader.last);
  await until(() => engine.live.size === 1);
  expect(engine.live.get(id)).toMatchObject({ promptTokenIds: bytes('Once'), outputTokenIds: bytes(' up'), sampling: { seed: 5 } });
  engine.step({ id, tokens: [...bytes('on'), END], finish: 'stop' });
  expect((await answer).choices[0]?.text).toBe(' upon');
});
