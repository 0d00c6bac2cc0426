import { expect, test } from 'vitest';
import { parseChatRequest } from '../../../src/api/chat-request.ts';
import { readModelFile } from '../../../src/formats/gguf.ts';
import { readRecommendedSampling } from '../../../src/models/recommended-sampling.ts';
import { memorySource } from '../../support/gpu-runner.ts';
import { type GgufValue, writeGguf } from '../../support/gguf-writer.ts';

async function recommendedBy(keys: Readonly<Record<string, GgufValue>>) {
  const metadata = Object.fromEntries(Object.entries(keys).map(([key, value]) => [`general.sampling.${key}`, value]));
  return readRecommendedSampling((await readModelFile(memorySource(writeGguf({ metadata, tensors: [] })))).metadata);
}

const f32 = (value: number): GgufValue => ({ type: 'f32', value });
const i32 = (value: number): GgufValue => ({ type: 'i32', value });

test('a file’s sampling is what was written, as parameters of a request', async () => {
  const recommended = await recommendedBy({
    temp: f32(0.6), top_p: f32(0.95), top_k: i32(20), min_p: f32(0.05), penalty_repeat: f32(1.05), mirostat: i32(2),
  });
  expect(recommended).toEqual({ temperature: 0.6, top_p: 0.95, top_k: 20, min_p: 0.05, repetition_penalty: 1.05 });
  const body = { ...recommended, messages: [{ role: 'user', content: 'Hi' }] };
  const { generate } = parseChatRequest(body, { modelNames: [], randomSeed: () => 0 });
  expect(generate).toMatchObject({ temperature: 0.6, logits: { topP: 0.95, topK: 20, minP: 0.05, repetitionPenalty: 1.05 } });
});

test('a file that recommends nothing, or a part', async () => {
  expect(await recommendedBy({})).toEqual({});
  expect(await recommendedBy({ temp: f32(0), top_k: i32(1_000_001) })).toEqual({ temperature: 0, top_k: 1_000_001 });
});

test('what no request may have is not recommended, and fails no model', async () => {
  expect(await recommendedBy({
    temp: f32(2.5), top_p: f32(0), top_k: i32(-1), min_p: f32(NaN), penalty_repeat: { type: 'string', value: '1.1' },
  })).toEqual({});
  expect(await recommendedBy({ temp: f32(-0.5), top_p: f32(1.5), top_k: f32(2.5), min_p: f32(2), penalty_repeat: f32(0) })).toEqual({});
});
