import { expect, test } from 'vitest';
import { BufferMeter } from '../../bench/buffer-meter.ts';
import { goodput } from '../../../demo/bench/goodput.ts';

const TARGET = { ttftMs: 500, tpotMs: 50 };
/** Text at these times, and an end at the last. */
const request = (textMs: readonly number[], outputTokens = textMs.length) => {
  return { sentAt: 0, textMs, endMs: textMs.at(-1) ?? 0, promptTokens: 9, cachedTokens: 0, outputTokens };
};

test('goodput counts the requests that met the whole target, a second', () => {
  const met = request([500, 550, 600]);
  const slowFirst = request([501, 502]);
  const slowAfter = request([100, 151, 202]);
  expect(goodput([met, slowFirst, slowAfter, met], 4000, TARGET)).toBe(0.5);
  expect(goodput([slowFirst, slowAfter], 4000, TARGET)).toBe(0);
});

test('one token has no TPOT to miss; what failed or said nothing has met nothing', () => {
  expect(goodput([request([400])], 1000, TARGET)).toBe(1);
  expect(goodput([{ ...request([400, 410]), error: 'gone' }, request([], 0)], 1000, TARGET)).toBe(0);
});

test('buffers count while they live, by what their labels say', () => {
  const made: { destroy: () => undefined }[] = [];
  const device = {
    createBuffer: () => {
      const buffer = { destroy: () => undefined };
      made.push(buffer);
      return buffer;
    },
  } as unknown as GPUDevice;
  const meter = new BufferMeter(device);
  const buffer = (label: string, size: number): GPUBuffer => device.createBuffer({ label, size, usage: 0 });
  buffer('blk.0.attn_q.weight + blk.0.attn_k.weight', 100);
  buffer('scales of blk.0.attn_q.weight', 20);
  buffer('keys of layer 0', 3000);
  buffer('values of layer 0', 4000);
  buffer('step inputs', 5);
  buffer('staging', 600).destroy();
  expect(made).toHaveLength(6);
  expect(meter.bytes).toEqual({ weights: 120, kvCache: 7000, steps: 5 });
});
