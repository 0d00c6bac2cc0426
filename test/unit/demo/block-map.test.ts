import { expect, test } from 'vitest';
import { blockAt, describeBlock, describePool, drawBlocks, type BlockMap } from '../../../demo/src/block-map.ts';
import { ownerOf } from '../../../demo/src/tones.ts';
import type { EngineSnapshot, RequestSnapshot } from '../../../src/index.ts';

const request = (id: string, session: number, blockTable: number[], numComputedTokens: number): RequestSnapshot =>
  ({ id, session, isOwn: session === 1, state: 'running', numTokens: numComputedTokens + 1, numComputedTokens, blockTable });

function snapshot(numBlocks: number, requests: RequestSnapshot[], cachedFree: number[] = []): EngineSnapshot {
  const uses = new Map<number, number>();
  for (const block of requests.flatMap(({ blockTable }) => blockTable)) uses.set(block, (uses.get(block) ?? 0) + 1);
  const shared = [...uses].filter(([, refCount]) => refCount > 1).map(([block, refCount]) => ({ block, refCount }));
  return {
    sessions: [], requests, maxNumSeqs: 4,
    pool: { numBlocks, blockSize: 16, numFree: numBlocks - uses.size, cachedFree, shared },
  };
}

/** A path's rectangles: x, y, width, height. */
const rectangles = (path: string): number[][] =>
  [...path.matchAll(/M(\S+) (\S+?)h(\S+?)v(\S+?)h/g)].map((match) => match.slice(1).map(Number));

/** The block whose cell a rectangle lies in. */
const blockOf = (map: BlockMap, [x = 0, y = 0, w = 0, h = 0]: number[]): number | undefined =>
  blockAt(map, (x + w / 2) / map.width, (y + h / 2) / map.height);

test('every block is drawn once, as what it is', () => {
  const map = drawBlocks(snapshot(64, [request('a', 1, [3, 40], 20), request('b', 2, [41], 16)], [7, 8]));
  expect(map.cells).toEqual([...Array(64).keys()]);
  expect(rectangles(map.kept).map((each) => blockOf(map, each))).toEqual([7, 8]);
  expect(map.requests.map(({ held }) => rectangles(held).map((each) => blockOf(map, each)))).toEqual([[3, 40], [41]]);
  expect(rectangles(map.free)).toHaveLength(64 - 5);
  expect(map.shared).toBe('');
});

test('a cell fills from below with what is computed', () => {
  const [a] = drawBlocks(snapshot(64, [request('a', 1, [0, 1, 2], 20)])).requests;
  const [whole, part, ...none] = rectangles(a?.filled ?? '');
  const [, , , height = 0] = rectangles(a?.held ?? '')[0] ?? [];
  expect(whole?.[3]).toBe(height);
  expect(part?.[3]).toBeCloseTo(height / 4, 1);
  expect((part?.[1] ?? 0) + (part?.[3] ?? 0)).toBeCloseTo(height, 1);
  expect(none).toEqual([]);
});

test('a shared block is cut into a slice for each that holds it, and marked', () => {
  const map = drawBlocks(snapshot(64, [request('a', 1, [5, 6], 32), request('b', 2, [5, 9], 32)]));
  const [a = [], b = []] = map.requests.map(({ held }) => rectangles(held)[0]);
  const whole = rectangles(map.requests[0]?.held ?? '')[1]?.[2] ?? 0;
  expect([a[2], b[2]]).toEqual([whole / 2, whole / 2]);
  expect((a[0] ?? 0) + (a[2] ?? 0)).toBe(b[0]);
  expect([blockOf(map, a), blockOf(map, b)]).toEqual([5, 5]);
  expect(map.shared.match(/M/g)).toHaveLength(1);
});

test('a large pool shows what holds something first, in the order of the blocks', () => {
  const map = drawBlocks(snapshot(16_384, [request('a', 1, [9000, 12], 32)], [15_000]));
  expect(map.cells.slice(0, 5)).toEqual([12, 9000, 15_000, 0, 1]);
  expect(map.cells).toHaveLength(416);
  expect(rectangles(map.requests[0]?.held ?? '').map((each) => blockOf(map, each))).toEqual([9000, 12]);
});

test('a picture of nothing is one', () => {
  expect(drawBlocks(snapshot(0, []))).toMatchObject({ cells: [], free: '', requests: [] });
  expect(blockAt(drawBlocks(snapshot(3, [])), 0.9, 0.5)).toBeUndefined();
});

test('it is told in words as well', () => {
  const view = snapshot(64, [request('a', 1, [5, 6], 32), request('b', 2, [5], 16)], [8]);
  expect(describePool(view)).toBe('2 of 64 blocks in use by 2 requests, 1 shared, 1 kept for their prefixes');
  expect(describeBlock(view, 5, ownerOf)).toBe('Block 5: shared by this tab and Tab 2');
  expect(describeBlock(view, 6, ownerOf)).toBe('Block 6: this tab, one of its 2 blocks');
  expect(describeBlock(view, 8, ownerOf)).toBe('Block 8: free; keeps a prefix until needed');
  expect(describeBlock(view, 9, ownerOf)).toBe('Block 9: free');
});
