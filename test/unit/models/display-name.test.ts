import { expect, test } from 'vitest';
import { displayName } from '../../../src/models/display-name.ts';

const HUB = 'https://huggingface.co/o/r/resolve/0123456789abcdef0123456789abcdef01234567';

test.each<[fileId: string, metadata: string, name: string]>([
  // The name of a training run, in the default model's file.
  [`${HUB}/SmolLM2-135M-Instruct.Q4_1.gguf`, 'Smollm2 135M 8k Lc100K Mix1 Ep2', 'SmolLM2-135M-Instruct'],
  // The same, written otherwise: the metadata's.
  ['Llama-3.2-1B-Instruct-Q4_K_M.gguf', 'Llama 3.2 1B Instruct', 'Llama 3.2 1B Instruct'],
  ['qwen2.5-0.5b-instruct-q8_0.gguf', 'Qwen2.5 0.5B Instruct', 'Qwen2.5 0.5B Instruct'],
  // Other gibberish, and less than the file says.
  ['tinyllama-1.1b-chat-v1.0.Q4_0.gguf', 'tinyllama_tinyllama-1.1b-chat-v1.0', 'tinyllama-1.1b-chat-v1.0'],
  ['Qwen3-0.6B-BF16.gguf', 'models', 'Qwen3-0.6B'],
  ['Qwen3-0.6B.i1-IQ3_XXS.gguf', 'Qwen3', 'Qwen3-0.6B'],
  ['Qwen3 0.6B.GGUF', 'qwen3', 'Qwen3 0.6B'],
  ['https://x.test/a/Mod%C3%A8le-1B-f16-00001-of-00002.gguf?X-Amz-Signature=1', 'x', 'Modèle-1B'],
  ['https://x.test/100%-1B.gguf', 'x', '100%-1B'],
  // Files whose names say nothing.
  ['model.gguf', 'Llama 3.2 1B Instruct', 'Llama 3.2 1B Instruct'],
  ['ggml-model-Q4_0.gguf', 'Llama 3.2 1B Instruct', 'Llama 3.2 1B Instruct'],
  ['unsloth.Q4_K_M.gguf', 'Llama 3.2 1B Instruct', 'Llama 3.2 1B Instruct'],
  ['3f8a9c0d1e2b4f5a.gguf', 'Llama 3.2 1B Instruct', 'Llama 3.2 1B Instruct'],
  ['https://x.test/download?id=7', 'Llama 3.2 1B Instruct', 'Llama 3.2 1B Instruct'],
  ['Q8_0.gguf', 'Tiny', 'Q8_0'],
])('%s, named %j inside, is called %j', (fileId, metadata, name) => {
  expect(displayName(metadata, fileId)).toBe(name);
});

test('a name is short', () => {
  expect(displayName('x'.repeat(1000), 'model.gguf')).toBe('x'.repeat(256));
});
