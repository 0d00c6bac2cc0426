import { describe, expect, test } from 'vitest';
import type { FinishReason } from '../../../src/core/request.ts';
import { TextStream } from '../../../src/worker/text-stream.ts';
import { byteTokenizer, bytes, END } from '../../support/fake-model.ts';

function open(stops: readonly string[] = []): TextStream {
  return new TextStream({
    requestId: 'r', choice: 0, promptTokens: 5, arrivalTime: 100, stops,
    stopTokenIds: [...byteTokenizer.stopTokenIds, ...bytes('§')], detokenizer: byteTokenizer.createDetokenizer(),
  });
}

function push(stream: TextStream, newTokenIds: readonly number[], finishReason?: FinishReason) {
  return stream.push({ requestId: 'r', newTokenIds, finishReason, firstScheduledTime: 130, numCachedTokens: 3 });
}

const texts = (frames: readonly { readonly text: string }[]): string[] => frames.map(({ text }) => text);

describe('text', () => {
  test('a code point of four tokens appears with its last one, and every token is numbered', () => {
    const stream = open();
    const frames = bytes('a😀b').flatMap((id) => push(stream, [id]));
    expect(texts(frames)).toEqual(['a', '', '', '', '😀', 'b']);
    expect(frames.map((frame) => frame.type === 'token' && [frame.index, frame.tokenId])).toEqual(
      bytes('a😀b').map((id, index) => [index, id]),
    );
  });

  test('a code point that stays incomplete becomes U+FFFD in the finish frame', () => {
    const stream = open();
    push(stream, bytes('😀').slice(0, 2));
    expect(push(stream, [], 'length')).toEqual([
      { type: 'finish', request: 'r', choice: 0, finishReason: 'length', text: '\uFFFD', promptTokens: 5,
        cachedTokens: 3, completionTokens: 2, queueMs: 30 },
    ]);
  });

  test('the token that ends an answer is numbered and counted, and adds no text', () => {
    const frames = push(open(), [...bytes('ok'), END], 'stop');
    expect(texts(frames)).toEqual(['o', 'k', '', '']);
    expect(frames.at(-1)).toMatchObject({ finishReason: 'stop', completionTokens: 3 });
    expect(texts(push(open(), [...bytes('ok'), ...bytes('§').slice(0, 1)], 'stop'))).toEqual(['o', 'k', '', '']);
  });
});

describe('stop strings', () => {
  test('what may begin one is held back until it does not', () => {
    const stream = open(['END']);
    expect(texts(push(stream, bytes('xENxEN')))).toEqual(['x', '', '', 'ENx', '', '']);
    expect(push(stream, [], 'length')).toMatchObject([{ text: 'EN', finishReason: 'length' }]);
  });

  test('one found in the middle of a step ends the stream there', () => {
    const stream = open(['END']);
    const frames = push(stream, bytes('a END of it'));
    expect(texts(frames).join('')).toBe('a ');
    expect(frames).toHaveLength(6);
    expect(frames.at(-1)).toMatchObject({ type: 'finish', finishReason: 'stop', completionTokens: 5 });
    expect(stream.ended).toBe(true);
    expect(push(stream, bytes('more'), 'length')).toEqual([]);
    expect(stream.abort(200)).toEqual([]);
  });

  test('one that a replacement character completes', () => {
    const stream = open(['x\uFFFD']);
    push(stream, [...bytes('wx'), 0xf0]);
    expect(push(stream, [], 'length')).toMatchObject([{ text: '', finishReason: 'stop' }]);
  });

  test('a text cut at every place gives the same answer', () => {
    const all = bytes('héllo 😀 wörld STOP tail');
    for (let cut = 0; cut <= all.length; cut++) {
      const stream = open(['STOP', 'TAIL']);
      const frames = [...push(stream, all.slice(0, cut)), ...push(stream, all.slice(cut), 'length')];
      expect(texts(frames).join('')).toBe('héllo 😀 wörld ');
    }
  });
});

describe('abort', () => {
  test('gives out what was held back', () => {
    const stream = open(['END']);
    push(stream, bytes('EN'));
    expect(stream.abort(900)).toMatchObject([{ finishReason: 'abort', text: 'EN', completionTokens: 2, queueMs: 30 }]);
    expect(stream.ended).toBe(true);
  });

  test('before the first step, the time in the queue is until now', () => {
    expect(open().abort(900)).toMatchObject([{ completionTokens: 0, queueMs: 800 }]);
  });
});
