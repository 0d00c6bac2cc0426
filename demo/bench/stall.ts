import type { Client } from '../../src/client/client.ts';
import type { BenchContext } from './bench-context.ts';
import { EndlessStream } from './endless-stream.ts';
import type { RequestTimes, StallFigures } from './figures.ts';
import { gapsAround } from './statistics.mjs';
import { requireAnswer, textTimes, timeRequest, userSays } from './time-request.ts';
import { promptOf } from './workload.ts';

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
