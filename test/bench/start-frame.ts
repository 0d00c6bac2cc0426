import type { AdapterSummary } from '../../src/core/metrics.ts';
import type { LoadProgress } from '../../src/core/progress.ts';
import { createClient } from '../../src/index.ts';
import { ttftOf } from '../../demo/bench/bench-context.ts';
import { requireAnswer, timeRequest, userSays } from '../../demo/bench/time-request.ts';

const ANSWER_TOKENS = 8;

/** Without `extendedLifetime`, an engine ends with its last page, so that the next start is one without an engine. */
globalThis.SharedWorker = class extends SharedWorker {
  constructor(url: string | URL, options?: string | WorkerOptions) {
    super(url, typeof options === 'object' ? { ...options, extendedLifetime: false } : options);
  }
};

/** Milliseconds from the call of `createClient`. */
export interface StartTimes {
  /** The stages of loading, when each was first told. */
  readonly stages: Readonly<Partial<Record<LoadProgress['stage'], number>>>;
  readonly readyMs: number;
  readonly firstTextMs: number;
  readonly text: string;
  readonly adapter: AdapterSummary | undefined;
  readonly modelName: string;
}

/** Opens a client, as the first thing that this page does, and asks. The client lives as long as the page. */
async function start(model: string): Promise<StartTimes> {
  const stages: Partial<Record<LoadProgress['stage'], number>> = {};
  const called = performance.now();
  const onProgress = ({ stage }: LoadProgress): void => {
    stages[stage] ??= performance.now() - called;
  };
  const client = await createClient({ model, onProgress });
  const readyMs = performance.now() - called;
  let text = '';
  const question = { messages: userSays('What is the capital of France?'), maxTokens: ANSWER_TOKENS, salt: crypto.randomUUID() };
  const onText = (_: number, piece: string): void => void (text += piece);
  const times = await requireAnswer(timeRequest(client, { ...question, onText }));
  const firstTextMs = times.sentAt + ttftOf(times) - called;
  const { adapter } = await client.metrics();
  return { stages, readyMs, firstTextMs, text, adapter, modelName: client.model.name };
}

const api = { start };
/** What the page around it finds in this one's global. */
export type StartFrame = typeof api;
Object.assign(globalThis, api);
