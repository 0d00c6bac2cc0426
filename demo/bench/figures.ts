import type { AdapterSummary, StepCounters } from '../../src/core/metrics.ts';
import type { AdapterLimits, StepProfile } from '../../src/core/profile.ts';
import type { Fault } from '../../src/core/protocol.ts';
import type { TuningMetrics } from '../../src/core/tuning.ts';
import type { BenchRow } from './row.ts';
import type { PartRows } from './rows.ts';

/** What can be measured, in the order in which it is: the last one breaks things. */
export type BenchPart =
  | 'start'
  | 'engine'
  | 'models'
  | 'memory'
  | 'reloads'
  | 'accuracy'
  | 'limits'
  | 'ttft'
  | 'busy'
  | 'load'
  | 'stall'
  | 'prefix'
  | 'close'
  | 'profile'
  | 'failover';

export interface BenchOptions {
  /** A GGUF's URL. */
  readonly modelUrl: string;
  /** Whether everything is to be done in two minutes on a software adapter. */
  readonly quick: boolean;
  /** Whether the browser keeps the model's file for the next run, as a visitor's should. @default false */
  readonly keepsModel?: boolean;
  /** The models of random weights, by the keys of `SYNTHETIC_SHAPES`. @default what suits the adapter */
  readonly shapes?: readonly string[];
  /** Of the engine's own figures. */
  readonly promptTokens: number;
  readonly decodeTokens: number;
  /** How often those and the TTFT are measured; the median counts. */
  readonly repeats: number;
  /** Requests that arrive in a second for each that may run at once. @default what one that is alone takes */
  readonly rate?: number;
}

/** What one decode step costs. */
export type StepCost = Omit<StepCounters, 'steps'>;

/** What was measured on what. */
export interface BenchSubject {
  readonly adapter: AdapterSummary;
  readonly modelName: string;
}

/** Of a part that begins before there is a client: what it measured, and on what. */
export interface RowFigures extends BenchSubject, PartRows {}

/** What the engine does when nothing is between it and the bench. */
export interface EngineFigures extends BenchSubject {
  /** Seconds from the file's first byte to a runner that is ready. */
  readonly loadSeconds: number;
  /** How the kernels were fitted to the adapter, before the rest was measured. */
  readonly tuning: TuningMetrics;
  /** Tokens that a step of the engine takes at most. */
  readonly maxNumBatchedTokens: number;
  readonly maxStepsPerPlan: number;
  /** One for each repeat. */
  readonly prefillTokensPerSecond: readonly number[];
  readonly decodeTokensPerSecond: readonly number[];
  readonly perDecodeStep: StepCost;
}

/** What a tab sees through `createClient`. */
export interface ClientFigures {
  readonly promptTokens: number;
  /** One for each repeat. */
  readonly ttftMs: readonly number[];
}

/** One request, as its tab saw it. */
export interface RequestTimes {
  /** When it was sent, in milliseconds of the page's clock. */
  readonly sentAt: number;
  /** Milliseconds from then to each piece of text: nearly always a token each. */
  readonly textMs: readonly number[];
  /** Milliseconds from then to its end, or its failure. */
  readonly endMs: number;
  readonly promptTokens: number;
  /** Those of the prompt's that were in the prefix cache. */
  readonly cachedTokens: number;
  readonly outputTokens: number;
  /** What it failed with. */
  readonly error?: string;
}

/** One number of requests at once. */
export interface LoadLevel {
  /** Sessions, each with one request at a time. */
  readonly concurrency: number;
  /** Arrivals in a second. */
  readonly rate: number;
  /** Milliseconds from the first arrival to the last end. */
  readonly durationMs: number;
  readonly requests: readonly RequestTimes[];
}

export interface LoadFigures {
  readonly seed: number;
  /** What the prompts' and answers' lengths were meant to be. */
  readonly promptTokens: number;
  readonly outputTokens: number;
  /** Milliseconds that one request takes when it is alone; undefined where the rate was given. */
  readonly aloneMs?: number;
  readonly levels: readonly LoadLevel[];
  /** The levels' goodput, where that was counted. */
  readonly rows?: readonly BenchRow[];
}

/** Streams while a long prompt arrives. */
export interface StallFigures {
  readonly streams: number;
  readonly promptTokens: number;
  /** Steps that the prompt takes, and milliseconds that it takes, when nothing else runs. */
  readonly aloneSteps: number;
  readonly aloneMs: number;
  /** The streams' ITLs, in milliseconds, of all repeats. */
  readonly beforeMs: readonly number[];
  readonly duringMs: readonly number[];
}

/** Two sessions that ask different things after the same system prompt. */
export interface PrefixFigures {
  readonly promptTokens: number;
  /** Of each repeat. */
  readonly firstMs: readonly number[];
  readonly secondMs: readonly number[];
  readonly cachedTokens: readonly number[];
}

/** A session that goes away in the middle of an answer. */
export interface CloseFigures {
  /** Milliseconds until its blocks are free, of each repeat. */
  readonly freedMs: readonly number[];
  /** Milliseconds that one look takes: no time is more exact than that. */
  readonly pollMs: number;
}

/** Milliseconds from the last text before a fault; `injectedMs` may be a little later than that text, or earlier. */
export interface FailoverSample {
  /** The fault was asked for. */
  readonly injectedMs: number;
  /** The tab was told that the engine is lost. */
  readonly recoveringMs: number;
  /** The tab was told that it is back. */
  readonly readyMs: number;
  /** The stream went on. */
  readonly firstTextMs: number;
}

export interface FailoverFigures {
  readonly samples: Readonly<Record<Fault, readonly FailoverSample[]>>;
  /** Bytes of the model that were fetched meanwhile: 0, if weights come from the cache. */
  readonly bytesFetched: number;
}

/** What the adapter can do, and where a step's time goes. */
export interface ProfileFigures {
  readonly limits: AdapterLimits;
  readonly decode: StepProfile;
  readonly prefill: StepProfile;
}

/** What each part gives; those that were left out or failed are not there. */
export interface PartFigures {
  readonly start: RowFigures;
  readonly engine: EngineFigures;
  readonly models: RowFigures;
  readonly memory: RowFigures;
  readonly reloads: RowFigures;
  readonly accuracy: RowFigures;
  readonly limits: AdapterLimits;
  readonly ttft: ClientFigures;
  readonly busy: PartRows;
  readonly load: LoadFigures;
  readonly stall: StallFigures;
  readonly prefix: PrefixFigures;
  readonly close: CloseFigures;
  readonly profile: ProfileFigures;
  readonly failover: FailoverFigures;
}
