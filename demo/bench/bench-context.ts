import type { Client } from '../../src/client/client.ts';
import { createClient } from '../../src/index.ts';
import type { AdapterSummary } from '../../src/core/metrics.ts';
import { settled } from './settled.ts';
import type { BenchOptions, RequestTimes } from './figures.ts';
import { type Sizes, sizesFor } from './sizes.ts';
import { requireAnswer, timeRequest, userSays } from './time-request.ts';
import { type PromptScale, promptOf, scaleThrough, wordsFor } from './workload.ts';

/** What the parts that go through `createClient` share: the model, loaded and warm, and what is known of it. */
export interface BenchContext {
  readonly options: BenchOptions;
  readonly sizes: Sizes;
  readonly adapter: AdapterSummary;
  /** A session that stays, so that the model does. */
  readonly client: Client;
  /** How many words make a prompt of so many tokens, as far as the context has room for it and `reserve` more. */
  readonly words: (tokens: number, reserve: number) => number;
  /** A salt that no request had before. */
  readonly salt: () => string;
  /** Runs something with so many sessions of its own. */
  readonly withSessions: <Result>(count: number, run: (clients: readonly Client[]) => Promise<Result>) => Promise<Result>;
}

/** Of a prompt whose steps make a software adapter compile the kernels for prompts. */
const WARM_UP_TOKENS = 200;

export async function openBenchContext(options: BenchOptions): Promise<BenchContext> {
  console.log('clients: loading');
  const client = await createClient({ model: options.modelUrl });
  const { adapter } = await client.metrics();
  if (adapter === undefined) throw new Error('a model is loaded, and there is no adapter');
  let salts = 0;
  const salt = (): string => `bench ${salts++}`;
  const scale = await promptScale(client, salt);
  const { maxModelLen } = client.model;
  // Words are not alike: a tenth stays free.
  const words: BenchContext['words'] = (tokens, reserve) => wordsFor(Math.min(tokens, (maxModelLen - reserve) * 0.9), scale);
  if (!options.quick) {
    await requireAnswer(timeRequest(client, { messages: userSays(promptOf(0, words(WARM_UP_TOKENS, 2))), maxTokens: 1, salt: salt() }));
    await settled(client);
  }
  return {
    options,
    sizes: sizesFor(adapter.isSoftware, options.quick),
    adapter,
    client,
    salt,
    words,
    withSessions: (count, run) => withSessions(options.modelUrl, count, run),
  };
}

/** Counts two prompts; the first of everything is over after that. */
async function promptScale(client: Client, salt: () => string): Promise<PromptScale> {
  const probe = async (words: number) => {
    const question = { messages: userSays(promptOf(0, words)), maxTokens: 1, salt: salt() };
    const { promptTokens } = await requireAnswer(timeRequest(client, question));
    return { words, tokens: promptTokens };
  };
  return scaleThrough(await probe(1), await probe(33));
}

async function withSessions<Result>(
  model: string,
  count: number,
  run: (clients: readonly Client[]) => Promise<Result>,
): Promise<Result> {
  const clients = await Promise.all(Array.from({ length: count }, () => createClient({ model })));
  try {
    return await run(clients);
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}

/** The time to its first text. */
export function ttftOf({ textMs: [ttft] }: RequestTimes): number {
  if (ttft === undefined) throw new Error('an answer had no text');
  return ttft;
}
