import type { SerializedError } from './errors.ts';
import type { LogitsParams, SamplingParams } from './request.ts';

/** In place of a fed token's id: the one last sampled in the request's slot, by a plan whose ids nobody has read yet. */
export const LAST_SAMPLED = -1;

/** One request's share of a step. */
export interface ScheduledRequest {
  readonly requestId: string;
  /** Which of the engine's `maxNumSeqs` seats the request holds; stable while it runs, unique within a step. */
  readonly slot: number;
  /** Fed in the plan's first step, at positions `startPosition`, `startPosition + 1`, ...: at least one, or LAST_SAMPLED. */
  readonly tokenIds: readonly number[];
  /** The position of `tokenIds[0]`: how many of the request's tokens have their KV computed by then. */
  readonly startPosition: number;
  /** Block ids in sequence order; they cover every position the plan touches, reserved later steps included. */
  readonly blockTable: readonly number[];
  /** Whether the last fed token's logits are sampled: false while more of the prompt is to come. */
  readonly samples: boolean;
  /** `choice` and the sampled token's position are part of the seed. */
  readonly sampling: Pick<SamplingParams, 'temperature' | 'seed'> & LogitsParams & { readonly choice: number };
  /**
   * All of the request's tokens. Where it samples for the first time since it got its slot, and has penalties or a
   * logit_bias: the runner keeps those by slot, and from here on counts what it samples itself.
   */
  readonly history?: TokenHistory | undefined;
}

/** The tokens of a request, prompt and output. */
export interface TokenHistory {
  readonly tokenIds: readonly number[];
  /** How many of them, from the first, are the prompt. */
  readonly numPromptTokens: number;
}

/**
 * The scheduler's plan for the model runner: plain data.
 *
 * A plan covers `numSteps` decode steps. More than one is only planned when every request samples and feeds one token;
 * the token that a step samples is then fed to the next on the GPU, one position further.
 */
export interface SchedulerOutput {
  readonly numSteps: number;
  readonly requests: readonly ScheduledRequest[];
  /** Sum of `tokenIds.length`. */
  readonly totalNumScheduledTokens: number;
}

/** The limits of one plan, within the scheduler's own. They never change results, only their times. */
export interface PlanLimits {
  /** Tokens a step, over all requests. */
  readonly tokenBudget: number;
  /** Decode steps. */
  readonly maxSteps: number;
}

/** The model runner's results. */
export interface ModelRunnerOutput {
  /** For each sampling request of the plan, its sampled ids, one a step. */
  readonly sampledTokenIds: ReadonlyMap<string, readonly number[]>;
  /** Sampling requests that got no ids, and why: each ends with its error, the others go on. @default none */
  readonly failures?: ReadonlyMap<string, SerializedError>;
}

/** Turns plans into token ids. The scheduler's tests use a fake. */
export interface ModelRunner {
  /**
   * Takes a plan into the queue in the turn of the call, behind the plans before it: it finds all that they write. Up to
   * `maxPlansInFlight` plans may be called for and not have resolved.
   */
  execute(plan: SchedulerOutput): Promise<ModelRunnerOutput>;
}

/** The KV cache that a runner offers its scheduler. */
export interface CacheConfig {
  /** Tokens a block. */
  readonly blockSize: number;
  readonly numBlocks: number;
}

/** The limits that a scheduler keeps. */
export interface SchedulerConfig extends CacheConfig {
  /** Tokens a step, over all requests. */
  readonly maxNumBatchedTokens: number;
  /** Tokens that a step may have, beside those of other requests, however long it takes. @default 8 */
  readonly minNumBatchedTokens?: number;
  /** Requests running at once. */
  readonly maxNumSeqs: number;
  /** Tokens a sequence, prompt and output. */
  readonly maxModelLen: number;
  /** Decode steps a plan may cover while the batch is stable; 1 on a software adapter. */
  readonly maxStepsPerPlan: number;
  /** Plans that may be under way at once while the batch is stable; 1 on a software adapter. @default 1 */
  readonly maxPlansInFlight?: number;
  /** Tokens of a split of attention's context: see partials.ts. @default no row has partial results */
  readonly splitTokens?: number;
  /** Partial results of attention that a step has room for; at least those of a row at the end of the longest sequence. @default no limit */
  readonly maxNumPartials?: number;
  /** Requests waiting at once, over all sessions. @default 256 */
  readonly maxNumWaiting?: number;
  /** Requests of one session waiting at once: less than all, so that none fills the queue. @default 128 */
  readonly maxNumWaitingPerSession?: number;
}
