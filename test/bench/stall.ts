import type { Client } from '../../src/client/client.ts';
import type { BenchContext } from './bench-context.ts';
import type { RequestTimes, StallFigures } from './figures.ts';
import { gapsAround } from './statistics.mjs';
import { requireAnswer, textTimes, timeRequest, userSays } from './time-request.ts';
import { promptOf } from './workload.ts';

/** Words of what the streams answer. */
const FEW = 4;

/** Does a long prompt stall the streams of others? */
export async function measureStall(context: BenchContext): Promise<StallFigures> {
  const { promptTokens: wanted, streams, repeats } = context.sizes.stall;
  const words = context.words(wanted, 1);
  console.log('stall: the long prompt alone');
  const before = (await context.client.metrics()).counters.steps;
  const { endMs: aloneMs, promptTokens } = await askLong(context, context.client, words, 0);
  const aloneSteps = (await context.client.metrics()).counters.steps - before;
  const beforeMs: number[] = [];
  const duringMs: number[] = [];
  for (let i = 1; i <= repeats; i++) {
    console.log(`stall: the long prompt beside ${streams} streams`);
    const found = await context.withSessions(streams, (clients) => besideStreams(context, clients, words, i));
    beforeMs.push(...found.before);
    duringMs.push(...found.during);
  }
  return { streams, promptTokens, aloneSteps, aloneMs, beforeMs, duringMs };
}

/** Its first token ends it. */
function askLong(context: BenchContext, client: Client, words: number, seed: number): Promise<RequestTimes> {
  const messages = userSays(promptOf(seed, words));
  return requireAnswer(timeRequest(client, { messages, maxTokens: 1, salt: context.salt() }));
}

async function besideStreams(context: BenchContext, clients: readonly Client[], words: number, seed: number) {
  const stop = new AbortController();
  const streams = clients.map((client, i) => new EndlessStream(context, client, 1000 * seed + i, stop.signal));
  try {
    await Promise.all(streams.map((stream) => stream.reached(1)));
    const since = performance.now(); // all have been prefilled
    const { tokensBefore } = context.sizes.stall;
    await Promise.all(streams.map((stream) => stream.reached(stream.length + tokensBefore)));
    const from = performance.now();
    await askLong(context, context.client, words, seed);
    const until = performance.now();
    await Promise.all(streams.map((stream) => stream.reached(stream.length + 1))); // the gaps that `until` lies in
    stop.abort();
    const answers = (await Promise.all(streams.map((stream) => stream.ended))).flat();
    return gapsAround(answers.map(textTimes), { since, from, until });
  } finally {
    stop.abort();
  }
}

/** One answer, and another one should it end too early. */
class EndlessStream {
  readonly ended: Promise<readonly RequestTimes[]>;
  /** Pieces of text so far. */
  length = 0;
  #waiting: { readonly length: number; readonly resolve: () => void }[] = [];

  constructor(context: BenchContext, client: Client, seed: number, signal: AbortSignal) {
    this.ended = this.#run(context, client, seed, signal);
    this.ended.catch(() => {}); // whoever waits for it hears of it
  }

  /** Resolves when so many pieces of text have come; rejects with what the stream failed with. */
  async reached(length: number): Promise<void> {
    const there = new Promise<void>((resolve) => this.#waiting.push({ length, resolve }));
    this.#wake();
    await Promise.race([there, this.ended]);
  }

  async #run(context: BenchContext, client: Client, seed: number, signal: AbortSignal): Promise<RequestTimes[]> {
    const answers: RequestTimes[] = [];
    while (!signal.aborted) {
      const messages = userSays(promptOf(seed + 100 * answers.length, FEW));
      const onText = (): void => {
        this.length++;
        this.#wake();
      };
      answers.push(await requireAnswer(timeRequest(client, { messages, salt: context.salt(), signal, onText })));
    }
    return answers;
  }

  #wake(): void {
    const isThere = ({ length }: { readonly length: number }): boolean => length <= this.length;
    for (const { resolve } of this.#waiting.filter(isThere)) resolve();
    this.#waiting = this.#waiting.filter((waiting) => !isThere(waiting));
  }
}
