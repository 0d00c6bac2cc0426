import { afterAll, expect, test } from 'vitest';
import { createClient } from '../../src/index.ts';
import type { LoadProgress, LogLine } from '../../src/index.ts';
import { injectFault } from '../../src/testing.ts';
import { tinyModel } from '../support/tiny-model.ts';

// Everything real: client, SharedWorker, loader, tokenizer, scheduler, kernels; only the model is tiny.

const file = new File([tinyModel({ type: 'mixed', preset: 'babble' })], 'babble.gguf', { lastModified: 1 });
const progress: LoadProgress[] = [];
const onProgress = (each: LoadProgress): void => void progress.push(each);
const log: LogLine[] = [];
const client = await createClient({
  model: file,
  onProgress,
  onLog: (line) => log.push(line),
  kvCacheBytes: 8 * 2 ** 20,
  kvCacheDtype: 'int8',
});
afterAll(() => client.close());

const ask = (content: string, more: { max_tokens: number; temperature?: number; seed?: number }) => {
  return { messages: [{ role: 'user', content }] as const, temperature: 0, ...more };
};

async function text(content: string, more: { max_tokens: number; temperature?: number; seed?: number }) {
  const { choices } = await client.chat.completions.create(ask(content, more));
  return choices[0]?.message.content;
}

test('loading is told from the first byte to the last', () => {
  expect(progress[0]?.stage).toBe('open');
  expect(progress.at(-1)).toMatchObject({ stage: 'ready', bytesDone: file.size, bytesTotal: file.size });
  expect(client.model).toMatchObject({ id: 'babble.gguf', architecture: 'llama', fileBytes: file.size });
});

test('the streamed answer is the whole answer, counted and timed', async () => {
  const stream = await client.chat.completions.create({ ...ask('Tell me', { max_tokens: 24 }), stream: true });
  let streamed = '';
  for await (const { choices } of stream) streamed += choices[0]?.delta.content ?? '';
  expect(streamed).not.toBe('');
  expect(await text('Tell me', { max_tokens: 24 })).toBe(streamed);
  const { usage } = stream;
  expect(usage?.completion_tokens).toBeLessThanOrEqual(24);
  expect(usage?.total_tokens).toBe((usage?.prompt_tokens ?? 0) + (usage?.completion_tokens ?? 0));
  const { queue_ms = -1, ttft_ms = -1, itl_ms = -1, tokens_per_second = -1 } = stream.timings;
  for (const value of [queue_ms, ttft_ms, itl_ms, tokens_per_second]) expect(value).toBeGreaterThanOrEqual(0);
});

test('answers given at once are the answers given alone, greedy and seeded', async () => {
  const questions = [
    ['One', { max_tokens: 20 }],
    ['Another, longer than the first', { max_tokens: 16 }],
    ['A third', { max_tokens: 12, temperature: 0.8, seed: 7 }],
  ] as const;
  const alone: unknown[] = [];
  for (const [content, more] of questions) alone.push(await text(content, more));
  expect(new Set(alone).size).toBe(3);
  expect(await Promise.all(questions.map(([content, more]) => text(content, more)))).toEqual(alone);
});

test('a text that is the chat’s prompt is continued as the chat is answered; token ids in a batch are as alone', async () => {
  const expected = await text('Tell me', { max_tokens: 12 });
  const prompt = '<|im_start|>user\nTell me<|im_end|>\n<|im_start|>assistant\n';
  const more = { temperature: 0, max_tokens: 12 };
  const whole = await client.completions.create({ prompt, ...more });
  expect(whole.choices[0]?.text).toBe(expected);
  const stream = await client.completions.create({ prompt, ...more, n: 2, echo: true, stream: true });
  const streamed = ['', ''];
  for await (const { choices } of stream) for (const choice of choices) streamed[choice.index] += choice.text;
  expect(streamed).toEqual([prompt + expected, prompt + expected]);
  // ids 0 to 2 are control tokens, then come the bytes in GPT-2's order
  const batch = await client.completions.create({ prompt: [[1, 68], [68]], ...more, max_tokens: 8 });
  const alone = await client.completions.create({ prompt: [68], ...more, max_tokens: 8 });
  expect(batch.choices[1]).toEqual({ ...alone.choices[0], index: 1 });
  expect(batch.usage).toMatchObject({ prompt_tokens: 3 });
});

test('a stop string ends the answer before it, and an abort leaves nothing running', async () => {
  const whole = (await text('Go on', { max_tokens: 24 })) ?? '';
  const stop = whole.slice(6, 9);
  const { choices } = await client.chat.completions.create({ ...ask('Go on', { max_tokens: 24 }), stop });
  const before = whole.slice(0, whole.indexOf(stop));
  expect(choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: before } });

  const stream = await client.chat.completions.create({ ...ask('Go on', { max_tokens: 400 }), stream: true });
  for await (const { choices: [choice] } of stream) if (choice?.delta.content !== '') break;
  // The step under way when the request was aborted holds its blocks until it ends.
  while ((await client.metrics()).kvBlocksUsed > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await client.metrics()).toMatchObject({ requestsRunning: 0, requestsWaiting: 0 });
});

test('a profile of the steps of an answer, and the adapter’s limits, leave the answer as it is', async () => {
  const alone = await text('Profile me', { max_tokens: 30 });
  const limits = await client.limits();
  expect(limits.readGBps).toBeGreaterThan(0);
  const [profile, answer] = await Promise.all([client.profile({ steps: 4 }), text('Profile me', { max_tokens: 30 })]);
  expect(answer).toBe(alone);
  expect(profile).toMatchObject({ phase: 'decode', steps: 4, rows: 1 });
  expect(profile.kernels.length).toBeGreaterThan(8);
  expect(profile.kernels.some(({ ofCeiling = 0 }) => ofCeiling > 0)).toBe(true);
  expect(profile.limits).toEqual(limits);
  await expect(client.profile({ steps: 0 })).rejects.toMatchObject({ code: 'invalid_request', param: 'steps' });
  await expect(client.profile({ timeoutMs: 20 })).rejects.toMatchObject({ code: 'deadline_exceeded' });
}, 60_000);

test('metrics tell the adapter, the cache and the work done', async () => {
  const metrics = await client.metrics();
  expect(metrics).toMatchObject({ state: 'ready', model: 'babble.gguf', sessions: 1, kvBlocksUsed: 0 });
  expect(metrics.adapter?.vendor).not.toBe('');
  const blockBytes = 2 * 2 * 16 * (64 + 4); // layers, keys and values of one head, tokens, INT8 elements and a scale
  expect(metrics.kvBlocksTotal).toBe(Math.floor((8 * 2 ** 20) / blockBytes));
  expect(client.model).toMatchObject({ kvCacheDtype: 'int8', kvCacheBytes: metrics.kvBlocksTotal * blockBytes });
  expect(log).toContainEqual({ type: 'log', level: 'info', message: expect.stringContaining('the KV cache has 8 MiB in int8') });
  expect(client.model).toMatchObject({ contextLength: 2048, maxModelLen: 2048, contextCut: undefined, kvCacheCut: undefined });
  const { kvBlocksTotal, promptTokens, generationTokens, decodeTokensPerSecond, counters } = metrics;
  const { steps, dispatches } = counters;
  for (const value of [kvBlocksTotal, promptTokens, generationTokens, decodeTokensPerSecond, steps, dispatches]) {
    expect(value).toBeGreaterThan(0);
  }
});

test('a prompt over the context is refused, typed; the next one is answered', async () => {
  const long = client.chat.completions.create(ask('many words '.repeat(2000), { max_tokens: 4 }));
  await expect(long).rejects.toMatchObject({ code: 'context_length_exceeded' });
  expect(await text('Hi', { max_tokens: 4 })).not.toBe('');
});

test('two models answer at once, on a device each, and each says what it says alone', async () => {
  const other = new File([tinyModel({ type: 'Q8_0', preset: 'babble', seed: 5 })], 'other.gguf', { lastModified: 1 });
  const alone = await text('Both', { max_tokens: 40 });
  const second = await createClient({ model: other, onLog: () => {} });
  // As many sequences of its context as a software adapter runs at once, in blocks of keys and values in f32 of two layers.
  expect(second.model).toMatchObject({ contextLength: 2048, maxModelLen: 2048, kvCacheBytes: 8 * 128 * (2 * 2 * 16 * 64 * 4) });
  const ofSecond = async () => (await second.chat.completions.create(ask('Both', { max_tokens: 40 }))).choices[0]?.message.content;
  const secondAlone = await ofSecond();
  expect(secondAlone).not.toBe(alone);
  expect(await Promise.all([text('Both', { max_tokens: 40 }), ofSecond()])).toEqual([alone, secondAlone]);
  const { models } = await second.metrics();
  expect(models.map(({ id, state, sessions }) => [id, state, sessions])).toEqual([
    ['babble.gguf', 'ready', 1],
    ['other.gguf', 'ready', 1],
  ]);
  await injectFault(second, 'device_lost');
  expect(await Promise.all([text('Both', { max_tokens: 40 }), ofSecond()])).toEqual([alone, secondAlone]);
  await second.close();
}, 120_000);

test('what does not fit the budget is refused before it is loaded, and the model in use stays', async () => {
  const other = new File([tinyModel({ type: 'Q8_0', preset: 'gqa9' })], 'large.gguf', { lastModified: 1 });
  const refused = createClient({ model: other, onLog: () => {}, gpuMemoryBytes: 1000 });
  const details = { budgetBytes: 1000, neededBytes: expect.any(Number) };
  await expect(refused).rejects.toMatchObject({ code: 'out_of_memory', details });
  // The other model, which no client has, is not given up for a file that is refused.
  expect(await client.metrics()).toMatchObject({ state: 'ready', models: [{ id: 'babble.gguf' }, { id: 'other.gguf', sessions: 0 }] });
});
