/** Matches stop strings in streamed text. Text that may be the start of one is held back until that is decided. */
export interface StopMatcher {
  /**
   * The text that can be shown now. `stopped`: a stop string is complete. Neither it nor the text after it is shown,
   * and later calls return no text. Among several, the one that is complete first counts, and the longest of those.
   */
  scan(text: string): { readonly text: string; readonly stopped: boolean };
  /** The text still held back, at the end of the stream. */
  flush(): string;
}

/** A node of the trie of stop strings with Aho-Corasick's failure links, so that each character is examined once. */
interface State {
  readonly next: Map<string, State>;
  /** The state for this one's longest proper suffix that begins a stop string. */
  fallback: State | undefined;
  /** Characters since the root: the length of the text held back. */
  readonly depth: number;
  /** The length of the longest stop string that ends here; 0 for none. */
  stopLength: number;
}

/** @param stops empty strings among them are ignored. Algorithm: Aho and Corasick 1975. */
export function createStopMatcher(stops: readonly string[]): StopMatcher {
  const root = buildAutomaton(stops);
  let state = root;
  let held = '';
  let stopped = false;
  const scan = (text: string): { text: string; stopped: boolean } => {
    if (stopped) return { text: '', stopped };
    const all = held + text;
    for (let i = held.length; i < all.length; i++) {
      state = step(state, all.charAt(i), root);
      if (state.stopLength > 0) {
        stopped = true;
        held = '';
        return { text: all.slice(0, i + 1 - state.stopLength), stopped };
      }
    }
    const shown = all.length - state.depth;
    held = all.slice(shown);
    return { text: all.slice(0, shown), stopped };
  };
  const flush = (): string => {
    const rest = held;
    held = '';
    state = root;
    return rest;
  };
  return { scan, flush };
}

function buildAutomaton(stops: readonly string[]): State {
  const root: State = { next: new Map(), fallback: undefined, depth: 0, stopLength: 0 };
  for (const stop of stops) {
    let state = root;
    for (let i = 0; i < stop.length; i++) {
      let child = state.next.get(stop.charAt(i));
      if (child === undefined) {
        child = { next: new Map(), fallback: root, depth: i + 1, stopLength: 0 };
        state.next.set(stop.charAt(i), child);
      }
      state = child;
    }
    state.stopLength = stop.length;
  }
  // Breadth first, since a fallback is always nearer to the root.
  for (const queue: State[] = [root]; queue.length > 0;) {
    const parent = queue.shift() ?? root;
    for (const [character, child] of parent.next) {
      child.fallback = parent.fallback === undefined ? root : step(parent.fallback, character, root);
      child.stopLength = Math.max(child.stopLength, child.fallback.stopLength);
      queue.push(child);
    }
  }
  return root;
}

function step(from: State, character: string, root: State): State {
  let state: State | undefined = from;
  while (state !== undefined) {
    const next = state.next.get(character);
    if (next !== undefined) return next;
    state = state.fallback;
  }
  return root;
}
