import type { EngineSnapshot, RequestSnapshot } from '../../src/index.ts';

/** Up to here every block has its own place in the picture. */
const MAX_PLACES = 1024;
/** The most cells of a larger pool: those of used blocks, then free ones. */
const FOLDED_CELLS = 416;

const COLUMNS = 26;
const MAX_ROWS = 18;
/** In the picture's own units: from a cell to the next, and the cell itself. */
const PITCH = 10;
const CELL = 8.6;

/** A request's blocks as shapes: `held` whole cells, `filled` as much of them as is computed. */
export interface RequestShapes {
  readonly request: RequestSnapshot;
  readonly held: string;
  readonly filled: string;
}

/** The block pool as shapes of an SVG, each an outline (a path's `d`) of all cells of its kind. */
export interface BlockMap {
  readonly width: number;
  readonly height: number;
  /** The block in each cell, row by row. */
  readonly cells: readonly number[];
  readonly free: string;
  /** Free, and findable by their prefix. */
  readonly kept: string;
  readonly requests: readonly RequestShapes[];
  /** A mark in each block that several requests hold. */
  readonly shared: string;
  /** One block's whole cell. */
  readonly outline: (block: number) => string;
}

type View = Pick<EngineSnapshot, 'requests' | 'pool'>;

/** The request that holds each used block, in the order in which the engine lists them. */
export function holdersOf({ requests }: Pick<View, 'requests'>): ReadonlyMap<number, readonly RequestSnapshot[]> {
  const holders = new Map<number, RequestSnapshot[]>();
  for (const request of requests) {
    for (const block of request.blockTable) {
      const others = holders.get(block);
      if (others === undefined) holders.set(block, [request]);
      else others.push(request);
    }
  }
  return holders;
}

/** Draws the pool. A block of several requests is cut into upright slices, one in each request's colour. */
export function drawBlocks(view: View): BlockMap {
  const holders = holdersOf(view);
  const kept = new Set(view.pool.cachedFree);
  const cells = cellsOf(view, holders);
  const columns = Math.max(COLUMNS, Math.ceil(cells.length / MAX_ROWS));
  const placeOf = new Map(cells.map((block, i) => [block, { x: (i % columns) * PITCH, y: Math.floor(i / columns) * PITCH }]));
  const whole = (blocks: readonly number[]): string =>
    blocks.map((block) => rectangle(placeOf.get(block), 0, 1, 1)).join('');
  return {
    width: columns * PITCH - (PITCH - CELL),
    height: Math.ceil(cells.length / columns) * PITCH - (PITCH - CELL),
    cells,
    free: whole(cells.filter((block) => !holders.has(block) && !kept.has(block))),
    kept: whole(cells.filter((block) => kept.has(block))),
    requests: view.requests.map((request) => {
      const slices = (share: (index: number) => number): string =>
        request.blockTable.map((block, index) => {
          const sharers = holders.get(block) ?? [request];
          return rectangle(placeOf.get(block), sharers.indexOf(request) / sharers.length, 1 / sharers.length, share(index));
        }).join('');
      const { blockSize } = view.pool;
      const filled = (index: number): number => Math.min(1, Math.max(0, request.numComputedTokens / blockSize - index));
      return { request, held: slices(() => 1), filled: slices(filled) };
    }),
    outline: (block) => whole([block]),
    shared: view.pool.shared.map(({ block }) => dot(placeOf.get(block))).join(''),
  };
}

/** The block at a point of the picture, in shares of its width and height. */
export function blockAt(map: BlockMap, x: number, y: number): number | undefined {
  const columns = Math.round((map.width + PITCH - CELL) / PITCH);
  const column = Math.floor((x * map.width) / PITCH);
  const row = Math.floor((y * map.height) / PITCH);
  return column < 0 || column >= columns || row < 0 ? undefined : map.cells[row * columns + column];
}

/** A description of a block's content. */
export function describeBlock(view: View, block: number, ownerOf: (request: RequestSnapshot) => string): string {
  const holders = holdersOf(view).get(block) ?? [];
  const [first, ...others] = holders;
  if (first === undefined) {
    return `Block ${block}: free${view.pool.cachedFree.includes(block) ? '; keeps a prefix until needed' : ''}`;
  }
  if (others.length === 0) return `Block ${block}: ${ownerOf(first)}, one of its ${count(first.blockTable.length, 'block')}`;
  return `Block ${block}: shared by ${holders.map((request) => ownerOf(request)).join(' and ')}`;
}

/** The whole picture in words. */
export function describePool({ requests, pool }: View): string {
  const numRunning = requests.filter(({ state }) => state === 'running').length;
  const used = `${pool.numBlocks - pool.numFree} of ${count(pool.numBlocks, 'block')} in use by ${count(numRunning, 'request')}`;
  return `${used}, ${pool.shared.length} shared, ${pool.cachedFree.length} kept for their prefixes`;
}

export function count(number: number, noun: string): string {
  return `${number.toLocaleString('en-US')} ${noun}${number === 1 ? '' : 's'}`;
}

function cellsOf({ pool }: View, holders: ReadonlyMap<number, unknown>): number[] {
  const all = Array.from({ length: pool.numBlocks }, (_, block) => block);
  if (all.length <= MAX_PLACES) return all;
  const kept = new Set(pool.cachedFree);
  const held = all.filter((block) => holders.has(block)).slice(0, FOLDED_CELLS);
  const keeping = all.filter((block) => kept.has(block)).slice(0, FOLDED_CELLS - held.length);
  const shown = [...held, ...keeping].toSorted((a, b) => a - b);
  const free = all.filter((block) => !holders.has(block) && !kept.has(block));
  return [...shown, ...free.slice(0, FOLDED_CELLS - shown.length)];
}

interface Place {
  readonly x: number;
  readonly y: number;
}

/** A part of a cell: from `left` on, `width` wide and filled from below to `height`, in shares of the cell. */
function rectangle(place: Place | undefined, left: number, width: number, height: number): string {
  if (place === undefined || height === 0) return '';
  const [w, h] = [width * CELL, height * CELL].map(round);
  return `M${round(place.x + left * CELL)} ${round(place.y + (1 - height) * CELL)}h${w}v${h}h-${w}z`;
}

function dot(place: Place | undefined): string {
  if (place === undefined) return '';
  const radius = 1.5;
  return `M${round(place.x + CELL / 2 - radius)} ${round(place.y + CELL / 2)}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 -${2 * radius} 0z`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
