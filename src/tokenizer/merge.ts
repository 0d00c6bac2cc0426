import type { Task } from '../core/cooperative-task.ts';

/** Which neighbouring tokens merge, and in which order. */
export interface MergeTable {
  /** The merge of this pair, as an index into the arrays below; -1 where there is none. */
  readonly find: (left: number, right: number) => number;
  /** The order of merges, lowest first. Below 2 ** 22. */
  readonly ranks: ArrayLike<number>;
  /** The token that results from a merge. */
  readonly results: ArrayLike<number>;
}

/**
 * Merges a text's initial tokens (negative where the vocabulary lacks one), and emits the remaining tokens with their
 * start.
 */
export type Merger = (ids: Int32Array, emit: (id: number, place: number) => void) => Task<void>;

/** Indices examined, or merges made, between two yields. */
const RUN = 4096;

/** A queue's entry is `rank * PLACES + place`, which a float64 holds exactly. */
const PLACES = 2 ** 31;

/**
 * Byte pair encoding: the pair of lowest rank merges first, the leftmost of equals, until no pair merges.
 * SentencePiece's BPE is the same with scores as ranks. O(n log n) in the text, for every text.
 */
export function createMerger({ find, ranks, results }: MergeTable): Merger {
  return function* merge(ids, emit) {
    const { length } = ids;
    const next = new Int32Array(length);
    const previous = new Int32Array(length);
    /** The merge that a pair may take, by the index of its left token. A queue entry that differs is outdated. */
    const merges = new Int32Array(length).fill(-1);
    const queue = new MinHeap(3 * length);
    const look = (place: number): void => {
      const right = next[place] ?? length;
      const merge = right < length ? find(ids[place] ?? -1, ids[right] ?? -1) : -1;
      merges[place] = merge;
      if (merge < 0) return;
      const entry = (ranks[merge] ?? 0) * PLACES + place;
      queue.push(entry);
    };
    for (let place = 0; place < length; place++) {
      next[place] = place + 1;
      previous[place] = place - 1;
      // Pairs are examined one behind, since each needs its successor.
      if (place > 0) look(place - 1);
      if ((place + 1) % RUN === 0) yield;
    }
    let count = 0;
    for (let entry = queue.pop(); entry !== undefined; entry = queue.pop()) {
      if (++count % RUN === 0) yield;
      const place = entry % PLACES;
      const rank = (entry - place) / PLACES;
      const merge = merges[place] ?? -1;
      if (merge < 0 || ranks[merge] !== rank) continue;
      const right = next[place] ?? length;
      const after = next[right] ?? length;
      ids[place] = results[merge] ?? -1;
      next[place] = after;
      if (after < length) previous[after] = place;
      merges[right] = -1;
      look(place);
      const before = previous[place] ?? -1;
      if (before >= 0) look(before);
    }
    for (let place = 0; place < length; place = next[place] ?? length) {
      emit(ids[place] ?? -1, place);
      if (++count % RUN === 0) yield;
    }
  };
}

/** A binary heap of numbers. */
class MinHeap {
  readonly #heap: Float64Array;
  #size = 0;

  constructor(capacity: number) {
    this.#heap = new Float64Array(capacity);
  }

  push(entry: number): void {
    const heap = this.#heap;
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const other = heap[parent] ?? 0;
      if (other <= entry) break;
      heap[at] = other;
      at = parent;
    }
    heap[at] = entry;
  }

  pop(): number | undefined {
    if (this.#size === 0) return undefined;
    const heap = this.#heap;
    const top = heap[0];
    const size = --this.#size;
    const last = heap[size] ?? 0;
    let at = 0;
    for (let child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child++;
      const other = heap[child] ?? 0;
      if (last <= other) break;
      heap[at] = other;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}
