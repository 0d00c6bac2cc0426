import { describe, expect, test } from 'vitest';
import { isAtHand } from '../../../demo/src/default-model.ts';

const SOURCE = 'hf:a/b/c.gguf@0123';
const URL_OF_IT = 'https://huggingface.co/a/b/resolve/0123/c.gguf';

const model = (isFromHub: boolean): Parameters<typeof isAtHand>[0] =>
  ({ available: true, choice: { source: isFromHub ? SOURCE : '/models/c.gguf', label: 'c', babble: false }, bytes: 10, isFromHub });

const cacheOf = (url: string, bytesCached: number): Parameters<typeof isAtHand>[1] =>
  ({ list: async () => [{ url, name: 'c', size: 10, bytesCached, lastUsed: 0 }] });

describe('the default model is loaded unasked', () => {
  test.each([
    ['the server has it itself', false, cacheOf('', 0), true],
    ['it is on the device', true, cacheOf(URL_OF_IT, 10), true],
    ['not where a part of it is missing', true, cacheOf(URL_OF_IT, 9), false],
    ['not where another revision is there', true, cacheOf(URL_OF_IT.replace('0123', '4567'), 10), false],
    ['not where the storage cannot be read', true, { list: () => Promise.reject(new Error('no')) }, false],
  ] as const)('if %s', async (_when, isFromHub, cache, expected) => {
    expect(await isAtHand(model(isFromHub), cache)).toBe(expected);
  });
});
