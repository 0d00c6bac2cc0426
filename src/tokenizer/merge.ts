import type { Task } from '../core/cooperative-task.ts';

/** Which neighbouring tokens merge, and in what order. */
export interface MergeTable {
  /** The merge of this pair, as an index into the arrays below; -1 where there is none. */
  readonly find: (left: number, right: number) => number;
  /** When a merge takes its turn: the lowest first. Below 2 ** 22. */
  readonly ranks: ArrayLike<number>;
  /** The token that a merge makes. */
  readonly results: ArrayLike<number>;
}

/** Merges a text's first tokens, negative for what the vocabulary lacks, and tells what remains and where it began. */
export type Merger = (ids: Int32Array, emit: (id: number, place: number) => void) => Task<void>;

/** Places looked at, or merges made, without a pause. */
const RUN = 4096;

/** A queue's entry is `rank * PLACES + place`, which a float64 holds exactly. */
const PLACES = 2 ** 31;

/**
 * Byte pair encoding: the pair of lowest rank merges first, of equals the leftmost, until no pair does. What
 * SentencePiece calls BPE is the same with scores for ranks. O(n log n) in the text, whatever the text.
 */
export function createMerger({ find, ranks, results }: MergeTable): Merger {
  return function* merge(ids, emit) {
    const { length } = ids;
    const next = new Int32Array(length);
    const previous = new Int32Array(length);
    /** By a pair's left place, the merge that it may take; what the queue says otherwise is out of date. */
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
      // Pairs are looked at one behind, since each needs what is next.
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

/** The smallest of numbers, in a binary heap. */
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
