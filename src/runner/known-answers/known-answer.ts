import type { KvCacheDtype } from '../../core/kv-cache-dtype.ts';
import type { ModelConfig } from '../../core/model-config.ts';
import type { CacheConfig } from '../../core/scheduler-output.ts';
import type { BufferRange } from '../../gpu/kernel.ts';
import type { BoundKernel, Grid, Op, OpBuilder, StepShape } from '../../gpu/op.ts';
import type { ReferenceMatrix } from '../../models/reference-rows.ts';
import type { ModelWeights } from '../../models/weights.ts';
import type { Expected } from './references.ts';

/** The rows of a step of the test. Buffers over rows have room for as many. */
export const ROWS = 8;

/** Its KV cache. */
export interface TestedCache extends CacheConfig {
  readonly dtype: KvCacheDtype;
  readonly maxModelLen: number;
}

/** A model whose kernels are tested. Nothing is served yet: the test writes to its buffers, and clears them. */
export interface TestedModel {
  readonly builder: Pick<OpBuilder, 'boundKernel'>;
  readonly ops: readonly Op[];
  readonly config: ModelConfig;
  readonly weights: ModelWeights;
  readonly cache: TestedCache;
  readonly maxNumSeqs: number;
  /** The most rows of a request that one attention tile takes, by the kernels compiled so far. */
  readonly tileRows: number;
  /** Rows of its weights, as they were in the file. */
  readonly matrices: readonly ReferenceMatrix[];
}

/** An op, its kernel and its buffers. */
export interface TestedOp extends BoundKernel {
  readonly op: Op;
  /** Of its matrix, where it has one. */
  readonly matrix: ReferenceMatrix | undefined;
}

/** Words that are written to a buffer before a dispatch, from the start of the binding or `offset` bytes after it. */
export interface Write {
  readonly to: BufferRange;
  readonly offset?: number;
  readonly data: Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>;
}

/** Bytes of a buffer that are read after the dispatches. */
export interface Read {
  readonly from: BufferRange;
  readonly offset?: number;
  readonly size: number;
  /** Whether the model needs what is there: it is not cleared. @default false */
  readonly isKept?: boolean;
}

export interface Dispatch {
  readonly op: Op;
  readonly step: StepShape;
  /** @default the op's own */
  readonly grid?: Grid;
}

/** The words that were read, by name. */
export interface Results {
  floats(name: string): Float32Array;
  words(name: string): Uint32Array;
}

/** Dispatches of the model's own ops with inputs of the test, and a check of their outputs. */
export interface KnownAnswer {
  /** The op's name, for messages. */
  readonly kernel: string;
  /** Whether it goes on where the one before ends. Otherwise what it reads is cleared first. @default false */
  readonly follows?: boolean;
  readonly writes: readonly Write[];
  readonly dispatches: readonly Dispatch[];
  readonly reads: Readonly<Record<string, Read>>;
  /** Bytes of weights and of the KV cache that the dispatches read. */
  readonly bytes: number;
  /** The first output that is wrong, in words. */
  readonly check: (results: Results) => string | undefined;
}

const NO_STEP: StepShape = {
  tokens: 0, samples: 0, biased: 0, penalised: 0, filtered: 0, topK: 0, topP: 0, maxContext: 0, contextTokens: 0, attendedTokens: 0,
  singles: 0, tiles: 0,
};

/** A step with these numbers; the others are 0. */
export function stepOf(numbers: Partial<StepShape>): StepShape {
  return { ...NO_STEP, ...numbers };
}

/** A buffer of a kernel. */
export function bufferOf({ spec, buffers }: BoundKernel, binding: string): BufferRange {
  const range = buffers[binding];
  if (range === undefined) throw new Error(`${spec.name} has no ${binding}`);
  return range as BufferRange;
}

/** The content of a uniform that holds a count. */
export function countOf(count: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(count, 0, 0, 0);
}

/** A pseudo-random sequence, the same everywhere. */
export class Sequence {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  }

  /** In 0 to 2^32 - 1: Marsaglia's xorshift, with Vigna's multiplier. */
  word(): number {
    let x = this.#state || 1;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return Math.imul(x, 0x2545f491) >>> 0;
  }

  /** An integer from 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor((this.word() / 2 ** 32) * count);
  }

  /** An f32 from -size to size. */
  between(size: number): number {
    return Math.fround((2 * (this.word() / 2 ** 32) - 1) * size);
  }

  floats(length: number, size: number): Float32Array<ArrayBuffer> {
    return Float32Array.from({ length }, () => this.between(size));
  }
}

/** In words, where a number is not what was expected. */
export function wrong(what: string, found: number | undefined, { value, error }: Expected): string | undefined {
  if (found !== undefined && Math.abs(found - value) <= error) return undefined;
  return `${what} is ${found}, and should be ${value} (within ${error.toExponential(1)})`;
}

/** The first of them. */
export function firstOf(faults: Iterable<string | undefined>): string | undefined {
  for (const fault of faults) if (fault !== undefined) return fault;
  return undefined;
}
