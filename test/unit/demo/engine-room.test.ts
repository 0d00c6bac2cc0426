import { expect, test } from 'vitest';
import { EngineRoom } from '../../../demo/src/engine-room.ts';
import { ownerOf, Tones } from '../../../demo/src/tones.ts';
import type { EngineMetrics, EngineSnapshot, RequestSnapshot } from '../../../src/index.ts';

const request = (id: string, session: number, isOwn = false): RequestSnapshot =>
  ({ id, session, isOwn, state: 'running', numTokens: 2, numComputedTokens: 1, blockTable: [0] });

const POOL = { numBlocks: 8, blockSize: 16, numFree: 7, cachedFree: [3], shared: [] };
const snapshot = (requests: RequestSnapshot[], pool = POOL, maxNumSeqs = 4): EngineSnapshot =>
  ({ sessions: [], requests, maxNumSeqs, pool });
const metrics = (requestsRunning: number, steps: number, generationTokens: number) =>
  ({ requestsRunning, generationTokens, counters: { steps } }) as EngineMetrics;

test('a tab keeps its hue and a request its shade, whoever else comes and goes', () => {
  const tones = new Tones();
  const look = (...requests: RequestSnapshot[]) =>
    Object.fromEntries([...tones.assign(requests)].map(([id, { hue, shade }]) => [id, `${hue}/${shade}`]));
  expect(look(request('a', 1, true), request('b', 2), request('c', 2))).toEqual({ a: 'own/0', b: '1/0', c: '1/1' });
  expect(look(request('c', 2), request('d', 3))).toEqual({ c: '1/1', d: '2/0' });
  expect(look(request('e', 2), request('c', 2))).toEqual({ e: '1/0', c: '1/1' });
});

test('owners have names', () => {
  expect([request('a', 3, true), request('b', 2), request('c', 0)].map(ownerOf)).toEqual(['this tab', 'Tab 2', 'a closed tab']);
});

test('rates and occupancy come from readings; another model begins anew', () => {
  const room = new EngineRoom();
  for (let second = 0; second < 4; second++) {
    room.take({ metrics: metrics(second, 10 * second, 20 * second), snapshot: snapshot([]) }, 1000 * second);
  }
  expect([room.steps.samples.at(-1), room.throughput.samples.at(-1)]).toEqual([10, 20]);
  expect(room.occupancy).toEqual([0, 1, 2, 3]);
  room.reset();
  expect([room.occupancy, room.steps.samples, room.snapshot]).toEqual([[], [], undefined]);
});

test('while there is no engine, its pool stays in the picture, empty', () => {
  const room = new EngineRoom();
  const gone = { numBlocks: 0, blockSize: 0, numFree: 0, cachedFree: [], shared: [] };
  room.take({ metrics: metrics(1, 0, 0), snapshot: snapshot([request('a', 1)]) }, 0);
  room.take({ metrics: metrics(0, 0, 0), snapshot: snapshot([request('a', 1)], gone, 0) }, 1);
  expect(room.snapshot).toMatchObject({ maxNumSeqs: 4, pool: { numBlocks: 8, numFree: 8, cachedFree: [] } });
});
