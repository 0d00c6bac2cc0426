import { expect, test } from 'vitest';
import { PendingRequest } from '../../../src/client/pending-request.ts';
import { RequestFrames } from '../../../src/client/request-frames.ts';
import type { TokenFrame } from '../../../src/core/frames.ts';
import type { GenerateRequest } from '../../../src/core/protocol.ts';

const token = (index: number): TokenFrame => ({ type: 'token', request: 'r', choice: 0, index, tokenId: 7 + index, text: 'x' });

test.each([
  ['twice', [0, 1, 1]],
  ['not at all', [0, 2]],
])('a token that comes %s ends the request: the text would be wrong, and nobody would know', async (_what, indices) => {
  const frames = new RequestFrames('r', 0);
  for (const index of indices) frames.append(token(index), 1);
  expect(frames.ended).toBe(true);
  const read = async () => {
    for await (const _ of frames.read());
  };
  await expect(read()).rejects.toMatchObject({ code: 'internal' });
  expect(frames.tokenIds).toEqual(indices.slice(0, -1).map((index) => 7 + index));
});

test('every worker is given what is left of a request’s time since its call, and the tokens that have come', () => {
  const request: GenerateRequest = {
    requestId: 'r', prompt: { text: 'Hi' }, maxTokens: 5, temperature: 1, seed: 3, stop: [], scheduling: { timeoutMs: 1000, priority: 2 },
  };
  const pending = new PendingRequest(request, 100);
  expect(pending.toGenerateRequest(300)).toEqual({ ...request, scheduling: { timeoutMs: 800, priority: 2 } });
  const worker = new AbortController();
  expect(pending.isWaiting).toBe(true);
  pending.accepted({ promptTokenIds: [1, 2] }, worker.signal);
  expect(pending.isWaiting).toBe(false);
  worker.abort();
  expect(pending.isWaiting).toBe(true);
  pending.frames.append(token(0), 300);
  expect(pending.toGenerateRequest(400)).toEqual({
    ...request, scheduling: { timeoutMs: 700, priority: 2 }, resume: { promptTokenIds: [1, 2], tokenIds: [7] },
  });
  expect(pending.toGenerateRequest(5000).scheduling?.timeoutMs).toBe(0);
});
