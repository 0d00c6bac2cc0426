import { expect, test } from 'vitest';
import { recommendationFor } from '../../../demo/src/known-models.ts';
import { FAKE_INFO } from '../../support/fake-chat.ts';

// Names as files have them in `general.name`, or as their files are called.
test.each([
  ['Smollm2 135M 8k Lc100K Mix1 Ep2', { temperature: 0.2, top_p: 0.9 }],
  ['SmolLM 360M Instruct', { temperature: 0.6, top_p: 0.92 }],
  ['Qwen2.5 0.5B Instruct', { temperature: 0.7, top_p: 0.8, top_k: 20, repetition_penalty: 1.1 }],
  ['Qwen2.5-Coder-7B-Instruct-Q4_0', { temperature: 0.7, top_p: 0.8, top_k: 20, repetition_penalty: 1.05 }],
  ['Qwen3 0.6B', { temperature: 0.6, top_p: 0.95, top_k: 20 }],
  ['Qwen3-4B-Instruct-2507-Q8_0', { temperature: 0.7, top_p: 0.8, top_k: 20 }],
  ['Meta Llama 3.1 8B Instruct', { temperature: 0.6, top_p: 0.9 }],
  ['DeepSeek R1 Distill Llama 8B', { temperature: 0.6, top_p: 0.95 }],
  ['tinyllama_tinyllama-1.1b-chat-v1.0', { temperature: 0.7, top_p: 0.95, top_k: 50 }],
])('%s is sampled as its publisher recommends', (name, sampling) => {
  expect(recommendationFor({ ...FAKE_INFO, name }, '')).toEqual({ by: 'publisher', sampling });
  expect(recommendationFor(FAKE_INFO, name)).toEqual({ by: 'publisher', sampling });
});

test('the file’s own word counts more; of what is unknown the page says something', () => {
  const recommendedSampling = { temperature: 1.2 };
  expect(recommendationFor({ ...FAKE_INFO, name: 'Qwen3 0.6B', recommendedSampling }, '')).toEqual({ by: 'file', sampling: recommendedSampling });
  expect(recommendationFor(FAKE_INFO, 'Tiny test model')).toEqual({ by: 'page', sampling: { temperature: 0.7, top_p: 0.95 } });
});
