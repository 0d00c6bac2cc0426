import { describe, expect, test } from 'vitest';
import type { FinishReason } from '../../../src/core/request.ts';
import { OutputProcessor } from '../../../src/worker/output-processor.ts';
import { byteTokenizer, bytes, END } from '../../support/fake-model.ts';

function open(stops: readonly string[] = []): OutputProcessor {
  return new OutputProcessor({
    requestId: 'r', choice: 0, promptTokens: 5, arrivalTime: 100, stops,
    stopTokenIds: [...byteTokenizer.stopTokenIds, ...bytes('§')], detokenizer: byteTokenizer.createDetokenizer(),
  });
}

function process(processor: OutputProcessor, newTokenIds: readonly number[], finishReason?: FinishReason) {
  return processor.process({ requestId: 'r', newTokenIds, finishReason, firstScheduledTime: 130, numCachedTokens: 3 });
}

const texts = (frames: readonly { readonly text: string }[]): string[] => frames.map(({ text }) => text);

describe('text', () => {
  test('a code point of four tokens appears with its last one, and every token is numbered', () => {
    const processor = open();
    const frames = bytes('a😀b').flatMap((id) => process(processor, [id]));
    expect(texts(frames)).toEqual(['a', '', '', '', '😀', 'b']);
    expect(frames.map((frame) => frame.type === 'token' && [frame.index, frame.tokenId])).toEqual(
      bytes('a😀b').map((id, index) => [index, id]),
    );
  });

  test('a code point that stays incomplete becomes U+FFFD in the finish frame', () => {
    const processor = open();
    process(processor, bytes('😀').slice(0, 2));
    expect(process(processor, [], 'length')).toEqual([
      { type: 'finish', request: 'r', choice: 0, finishReason: 'length', text: '\uFFFD', promptTokens: 5,
        cachedTokens: 3, completionTokens: 2, queueMs: 30 },
    ]);
  });

  test('the token that ends an answer is numbered and counted, and adds no text', () => {
    const frames = process(open(), [...bytes('ok'), END], 'stop');
    expect(texts(frames)).toEqual(['o', 'k', '', '']);
    expect(frames.at(-1)).toMatchObject({ finishReason: 'stop', completionTokens: 3 });
    expect(texts(process(open(), [...bytes('ok'), ...bytes('§').slice(0, 1)], 'stop'))).toEqual(['o', 'k', '', '']);
  });
});

describe('stop strings', () => {
  test('what may begin one is held back until it does not', () => {
    const processor = open(['END']);
    expect(texts(process(processor, bytes('xENxEN')))).toEqual(['x', '', '', 'ENx', '', '']);
    expect(process(processor, [], 'length')).toMatchObject([{ text: 'EN', finishReason: 'length' }]);
  });

  test('one found in the middle of a step ends the stream there', () => {
    const processor = open(['END']);
    const frames = process(processor, bytes('a END of it'));
    expect(texts(frames).join('')).toBe('a ');
    expect(frames).toHaveLength(6);
    expect(frames.at(-1)).toMatchObject({ type: 'finish', finishReason: 'stop', completionTokens: 5 });
    expect(processor.ended).toBe(true);
    expect(process(processor, bytes('more'), 'length')).toEqual([]);
    expect(processor.abort(200)).toEqual([]);
  });

  test('one that a replacement character completes', () => {
    const processor = open(['x\uFFFD']);
    process(processor, [...bytes('wx'), 0xf0]);
    expect(process(processor, [], 'length')).toMatchObject([{ text: '', finishReason: 'stop' }]);
  });

  test('a text cut at every place gives the same answer', () => {
    const all = bytes('héllo 😀 wörld STOP tail');
    for (let cut = 0; cut <= all.length; cut++) {
      const processor = open(['STOP', 'TAIL']);
      const frames = [...process(processor, all.slice(0, cut)), ...process(processor, all.slice(cut), 'length')];
      expect(texts(frames).join('')).toBe('héllo 😀 wörld ');
    }
  });
});

describe('abort', () => {
  test('gives out what was held back', () => {
    const processor = open(['END']);
    process(processor, bytes('EN'));
    expect(processor.abort(900)).toMatchObject([{ finishReason: 'abort', text: 'EN', completionTokens: 2, queueMs: 30 }]);
    expect(processor.ended).toBe(true);
  });

  test('before the first step, the time in the queue is until now', () => {
    expect(open().abort(900)).toMatchObject([{ completionTokens: 0, queueMs: 800 }]);
  });
});
