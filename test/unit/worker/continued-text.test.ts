import { expect, test } from 'vitest';
import type { Prompt } from '../../../src/core/protocol.ts';
import { runSync } from '../../../src/core/cooperative-task.ts';
import { createDetokenizer } from '../../../src/tokenizer/detokenizer.ts';
import { createActiveRequest, promptOf } from '../../../src/worker/active-request.ts';
import { bytes, byteTokenizer } from '../../support/fake-model.ts';

/** What a request's first frames say when its tokens, which are bytes, are these. */
function textAfter(prompt: Prompt, text: readonly number[], resume?: readonly number[]): string {
  // As SentencePiece has it: the first token's space is the one that encoding put before the text.
  const tokenizer = { ...byteTokenizer, createDetokenizer: () => createDetokenizer((id) => Uint8Array.of(id), true) };
  const info = { vocabSize: 257, maxModelLen: 99 } as never;
  const session = { sessionId: 's', isHidden: false, send: () => {} };
  const resumed = resume === undefined ? {} : { resume: { promptTokenIds: bytes('é').slice(0, 1), tokenIds: resume } };
  const request = { requestId: 'r', prompt, maxTokens: 9, temperature: 0, seed: 1, stop: [], ...resumed };
  const ids = runSync(promptOf(request, { tokenizer, info }));
  const live = createActiveRequest(session, request, ids, { tokenizer, info, persistPrefix: false, now: 0 });
  const output = { requestId: 'r', newTokenIds: text, finishReason: undefined, firstScheduledTime: 0, numCachedTokens: 0 };
  return live.process(output).map((frame) => ('text' in frame ? frame.text : '')).join('');
}

test('a text that goes on behind token ids is whole where they end within a character', () => {
  const smile = bytes('😀');
  for (const cut of [1, 2, 3]) {
    expect(textAfter({ tokenIds: [...bytes('Hi '), ...smile.slice(0, cut)] }, [...smile.slice(cut), ...bytes('!')])).toBe('😀!');
  }
  expect(textAfter({ tokenIds: bytes('é').slice(0, 1) }, bytes('!'), bytes('é').slice(1))).toBe('!'); // by another worker
});

test('it keeps the space before its first word; an answer to messages begins without', () => {
  expect(textAfter({ tokenIds: bytes('Hello') }, bytes(' world'))).toBe(' world');
  expect(textAfter({ text: 'Hello' }, bytes(' world'))).toBe(' world');
  expect(textAfter({ messages: [{ role: 'user', content: 'Hello' }] }, bytes(' world'))).toBe('world');
});
