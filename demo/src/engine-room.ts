import type { EngineMetrics, EngineSnapshot, EngineStatus } from '../../src/index.ts';
import { RateHistory } from './rate-history.ts';
import { Tones, type Tone } from './tones.ts';

const POINTS = 60;

/** A sample of the engine's metrics. */
export interface EngineReading {
  readonly metrics: EngineMetrics;
  readonly snapshot: EngineSnapshot;
}

/** A loss of the engine, and what is done about it. Times are the page's clock, in milliseconds. */
export type Recovery =
  | {
      readonly kind: 'recovering';
      readonly cause: string;
      readonly attempt: number;
      /** When the next try comes; `undefined` while one is under way. */
      readonly retryAt: number | undefined;
      /** When the engine was lost. */
      readonly since: number;
    }
  | { readonly kind: 'back'; readonly afterMs: number };

/** The page's view of the engine that all tabs share. */
export class EngineRoom {
  metrics: EngineMetrics | undefined;
  snapshot: EngineSnapshot | undefined;
  recovery: Recovery | undefined;
  /** Tokens a second, and steps a second, over all tabs. */
  throughput = new RateHistory();
  steps = new RateHistory();
  /** Requests running, oldest first. */
  occupancy: readonly number[] = [];
  tones: ReadonlyMap<string, Tone> = new Map();
  readonly #tones = new Tones();

  /** Another model, another engine. */
  reset(): void {
    this.metrics = undefined;
    this.snapshot = undefined;
    this.recovery = undefined;
    this.throughput = new RateHistory();
    this.steps = new RateHistory();
    this.occupancy = [];
  }

  take({ metrics, snapshot }: EngineReading, now: number): void {
    this.metrics = metrics;
    // While there is no engine its last pool stays in the picture, with nothing in it.
    const pool = snapshot.pool.numBlocks > 0 ? snapshot.pool : emptied(this.snapshot?.pool ?? snapshot.pool);
    const maxNumSeqs = snapshot.maxNumSeqs || (this.snapshot?.maxNumSeqs ?? 0);
    this.snapshot = { ...snapshot, pool, maxNumSeqs };
    this.tones = this.#tones.assign(snapshot.requests);
    this.throughput.add(now, metrics.generationTokens);
    this.steps.add(now, metrics.counters.steps);
    this.occupancy = [...this.occupancy, metrics.requestsRunning].slice(-POINTS);
  }

  takeStatus(status: EngineStatus, now: number): void {
    const since = this.recovery?.kind === 'recovering' ? this.recovery.since : now;
    if (status.state === 'recovering') {
      const { cause, attempt, retryInMs } = status;
      const retryAt = retryInMs === undefined ? undefined : now + retryInMs;
      this.recovery = { kind: 'recovering', cause: causeInWords(cause), attempt, retryAt, since };
    } else if (status.state === 'ready' && this.recovery?.kind === 'recovering') {
      this.recovery = { kind: 'back', afterMs: now - since };
    }
  }
}

function emptied(pool: EngineSnapshot['pool']): EngineSnapshot['pool'] {
  return { ...pool, numFree: pool.numBlocks, cachedFree: [], shared: [] };
}

/** Why the engine is not there, for people: what the browser does about it counts more than what failed. */
function causeInWords({ code, message }: Extract<EngineStatus, { state: 'recovering' }>['cause']): string {
  if (code === 'webgpu_unavailable') {
    return 'The browser gives out no GPU for now. After several crashes it holds it back, for some minutes at most.';
  }
  if (code === 'out_of_memory') return 'The GPU has too little free memory for now.';
  return message;
}
