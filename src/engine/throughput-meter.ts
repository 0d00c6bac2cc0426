import type { RequestOutput } from '../core/request.ts';
import type { SchedulerOutput } from '../core/scheduler-output.ts';

/** The speed that a step's time is counted for: a step that mixes prefill and decode counts for neither. */
type StepKind = 'prefill' | 'decode' | 'mixed';

interface Sample {
  readonly tokens: number;
  readonly startTime: number;
  readonly endTime: number;
}

function stepKind({ requests }: SchedulerOutput): StepKind {
  const numDecoding = requests.filter(({ tokenIds, samples }) => samples && tokenIds.length === 1).length;
  if (numDecoding === requests.length) return 'decode';
  return numDecoding === 0 ? 'prefill' : 'mixed';
}

/**
 * The speed of the last steps over all requests of the batch, for prefill and for decode. The window ends with the last step
 * of its kind, not now: an idle engine keeps its last speed.
 */
export class ThroughputMeter {
  readonly #windowMs: number;
  readonly #samples: Record<Exclude<StepKind, 'mixed'>, Sample[]> = { prefill: [], decode: [] };

  /** @param windowMs the length of the window; the last step counts even if it was longer */
  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Counts a step. @param startTime, endTime in the engine clock's milliseconds. */
  record(plan: SchedulerOutput, outputs: readonly RequestOutput[], startTime: number, endTime: number): void {
    const kind = stepKind(plan);
    if (kind === 'mixed') return;
    // Tokens that a decode step computes past a stop are not emitted.
    const emitted = outputs.reduce((sum, { newTokenIds }) => sum + newTokenIds.length, 0);
    const tokens = kind === 'prefill' ? plan.totalNumScheduledTokens : emitted;
    const samples = this.#samples[kind];
    samples.push({ tokens, startTime, endTime });
    const firstKept = samples.findIndex((sample) => sample.startTime >= endTime - this.#windowMs);
    samples.splice(0, firstKept === -1 ? samples.length - 1 : firstKept);
  }

  /** Prompt tokens a second; 0 while unknown. */
  get prefillTokensPerSecond(): number {
    return tokensPerSecond(this.#samples.prefill);
  }

  /** Generated tokens a second; 0 while unknown. */
  get decodeTokensPerSecond(): number {
    return tokensPerSecond(this.#samples.decode);
  }
}

function tokensPerSecond(samples: readonly Sample[]): number {
  const tokens = samples.reduce((sum, sample) => sum + sample.tokens, 0);
  const ms = samples.reduce((sum, { startTime, endTime }) => sum + endTime - startTime, 0);
  return ms > 0 ? (tokens / ms) * 1000 : 0;
}
