/** A request as the engine's pictures show it: how far it is and what it holds, nothing of what it says. */
export interface RequestProgress {
  readonly state: 'running' | 'waiting';
  /** Prompt and output so far. */
  readonly numTokens: number;
  /** Those whose KV is in the blocks; 0 while it waits. */
  readonly numComputedTokens: number;
  /** Its KV blocks in sequence order; none while it waits. A block may be in the tables of several requests. */
  readonly blockTable: readonly number[];
}

/** The KV blocks. Those that no table names are free. */
export interface BlockPoolSnapshot {
  readonly numBlocks: number;
  /** Tokens a block. */
  readonly blockSize: number;
  /** Whether a prefix can be found in them or not. */
  readonly numFree: number;
  /** The free blocks that still hold a prefix: who begins alike takes them up again, until they are needed. Ascending. */
  readonly cachedFree: readonly number[];
  /** The blocks that several tables name. Ascending. */
  readonly shared: readonly { readonly block: number; readonly refCount: number }[];
}

/** The scheduler's state, for the worker that runs it. */
export interface SchedulerSnapshot {
  /** First those that run, as they stand in the batch, then those that wait. */
  readonly requests: readonly (RequestProgress & { readonly requestId: string; readonly sessionId: string })[];
  /** How many can run at once. */
  readonly maxNumSeqs: number;
  readonly pool: BlockPoolSnapshot;
}

/** A tab that is connected. Numbers are small, stay for as long as the tab does, and are given anew after that. */
export interface SessionSnapshot {
  readonly session: number;
  /** Whether it is the tab that asks. */
  readonly isOwn: boolean;
}

/** A request of any tab's. Nothing here can be used to read it or to end it. */
export interface RequestSnapshot extends RequestProgress, SessionSnapshot {
  /** Stays for as long as the request and the worker live. */
  readonly id: string;
}

/** The engine's state at this moment, for all tabs. */
export interface EngineSnapshot {
  readonly sessions: readonly SessionSnapshot[];
  readonly requests: readonly RequestSnapshot[];
  /** How many requests can run at once; 0 without an engine. */
  readonly maxNumSeqs: number;
  /** Of 0 blocks without an engine: the requests then wait for one. */
  readonly pool: BlockPoolSnapshot;
}
