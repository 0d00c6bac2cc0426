import { LOAD_LEVELS, QUICK_LOAD_LEVELS } from './asked-sizes.mjs';
import type { LatencyTarget } from './goodput.ts';

/** How much of each thing is done. */
export interface Sizes {
  readonly load: {
    /** How many requests may run at once, one level after the other. */
    readonly levels: readonly number[];
    /** Requests of a level: so many times its concurrency, and at least so many. */
    readonly requestsEach: number;
    readonly requestsAtLeast: number;
    readonly promptTokens: number;
    readonly outputTokens: number;
    /** What goodput counts: a GPU answers faster than is read, a software adapter shows that it does something. */
    readonly target: LatencyTarget;
  };
  /** Of the text that classes of numerics are compared on, at most; the text has some 400. */
  readonly accuracy: { readonly tokens: number };
  readonly busy: { readonly streams: number; readonly promptTokens: number; readonly repeats: number };
  readonly stall: {
    readonly promptTokens: number;
    readonly streams: number;
    /** Tokens of each stream before the long prompt arrives. */
    readonly tokensBefore: number;
    readonly repeats: number;
  };
  readonly prefix: { readonly promptTokens: number; readonly repeats: number };
  readonly close: { readonly repeats: number };
  readonly profile: {
    readonly decodeSteps: number;
    readonly prefillSteps: number;
    /** Of each prompt whose steps are profiled. */
    readonly promptTokens: number;
  };
  /** Of each fault. */
  readonly failover: { readonly repeats: number };
}

/** A software adapter computes some ten tokens a second: it gets a tenth of what a GPU gets. */
export function sizesFor(isSoftware: boolean, quick: boolean): Sizes {
  const levels = quick ? QUICK_LOAD_LEVELS : LOAD_LEVELS;
  return isSoftware ? softwareSizes(levels, quick) : hardwareSizes(levels, quick);
}

function hardwareSizes(levels: readonly number[], quick: boolean): Sizes {
  return {
    load: {
      levels,
      requestsEach: quick ? 4 : 8,
      requestsAtLeast: 16,
      promptTokens: 256,
      outputTokens: 128,
      target: { ttftMs: 500, tpotMs: 50 },
    },
    accuracy: { tokens: quick ? 128 : 512 },
    busy: { streams: 8, promptTokens: 256, repeats: quick ? 3 : 10 },
    stall: { promptTokens: 2000, streams: 4, tokensBefore: 64, repeats: quick ? 1 : 3 },
    prefix: { promptTokens: 1000, repeats: quick ? 1 : 5 },
    close: { repeats: quick ? 3 : 10 },
    profile: { decodeSteps: quick ? 32 : 100, prefillSteps: quick ? 8 : 32, promptTokens: 1000 },
    failover: { repeats: quick ? 1 : 5 },
  };
}

function softwareSizes(levels: readonly number[], quick: boolean): Sizes {
  return {
    load: {
      levels,
      requestsEach: quick ? 1 : 2,
      requestsAtLeast: quick ? 2 : 4,
      promptTokens: 48,
      outputTokens: 16,
      target: { ttftMs: 5000, tpotMs: 500 },
    },
    accuracy: { tokens: quick ? 33 : 129 },
    busy: { streams: 2, promptTokens: 48, repeats: quick ? 1 : 3 },
    stall: { promptTokens: quick ? 128 : 256, streams: 2, tokensBefore: quick ? 8 : 12, repeats: 1 },
    prefix: { promptTokens: 256, repeats: quick ? 1 : 3 },
    close: { repeats: quick ? 2 : 5 },
    profile: { decodeSteps: quick ? 4 : 16, prefillSteps: quick ? 2 : 4, promptTokens: 96 },
    failover: { repeats: quick ? 1 : 3 },
  };
}
