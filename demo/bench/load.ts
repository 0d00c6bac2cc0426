import type { Client } from '../../src/client/client.ts';
import { sleep } from '../../src/core/sleep.ts';
import { deriveSeed } from './seeded-random.mjs';
import type { BenchContext } from './bench-context.ts';
import type { LoadFigures, LoadLevel, RequestTimes } from './figures.ts';
import { goodput } from './goodput.ts';
import { RowList } from './rows.ts';
import { requireAnswer, timeRequest, userSays } from './time-request.ts';
import { lengthsAround, poissonArrivals, promptOf } from './workload.ts';

/** Arrivals, lengths and words follow from it. */
const SEED = 1;

/** Prompts and answers are up to this much shorter or longer than their mean. */
const SPREAD = 0.25;

/** Requests that arrive at random and share the GPU: each of `concurrency` sessions answers one at a time. */
export async function measureLoad(context: BenchContext): Promise<LoadFigures> {
  const { promptTokens, outputTokens, levels } = context.sizes.load;
  const given = context.options.rate;
  const aloneMs = given === undefined ? await measureAlone(context) : undefined;
  const ratePerSession = given ?? 1000 / (aloneMs ?? NaN);
  const measured: LoadLevel[] = [];
  for (const concurrency of levels) {
    console.log(`load: ${concurrency} at once`);
    const rate = concurrency * ratePerSession;
    measured.push(await context.withSessions(concurrency, (clients) => runLevel(context, clients, rate)));
  }
  const alone = aloneMs === undefined ? {} : { aloneMs };
  return { seed: SEED, promptTokens, outputTokens, ...alone, levels: measured, rows: goodputRows(context, measured) };
}

/** Requests a second that met the adapter's target, which is in the row's name. */
function goodputRows({ client, sizes }: BenchContext, levels: readonly LoadLevel[]): RowList['rows'] {
  const { target, promptTokens: prompt, outputTokens: answer } = sizes.load;
  const list = new RowList('load');
  for (const { concurrency, durationMs, requests } of levels) {
    const within = { 'TTFT ms': target.ttftMs, 'TPOT ms': target.tpotMs };
    const dimensions = { model: client.model.name, prompt, answer, concurrency, ...within };
    const samples = [goodput(requests, durationMs, target)];
    list.add({ metric: 'goodput', dimensions, unit: 'requests/s', better: 'higher', samples });
  }
  return list.rows;
}

/** What one request of mean length takes when it is alone. */
async function measureAlone(context: BenchContext): Promise<number> {
  console.log('load: one request alone');
  const { promptTokens, outputTokens } = context.sizes.load;
  const content = promptOf(SEED, context.words(promptTokens, outputTokens));
  const question = { messages: userSays(content), maxTokens: outputTokens, salt: context.salt() };
  return (await requireAnswer(timeRequest(context.client, question))).endMs;
}

async function runLevel(context: BenchContext, clients: readonly Client[], rate: number): Promise<LoadLevel> {
  const { requestsEach, requestsAtLeast, promptTokens, outputTokens } = context.sizes.load;
  const concurrency = clients.length;
  const count = Math.max(requestsAtLeast, requestsEach * concurrency);
  const seed = (what: string): number => deriveSeed(SEED, `${what} ${concurrency}`);
  const promptLengths = lengthsAround(seed('prompts'), promptTokens, SPREAD, count);
  const outputLengths = lengthsAround(seed('answers'), outputTokens, SPREAD, count);
  const sessions = new IdleSessions(clients);
  const start = performance.now();
  const ask = async (arrival: number, i: number): Promise<RequestTimes> => {
    await sleep(Math.max(0, start + arrival - performance.now()));
    const client = await sessions.take();
    const maxTokens = outputLengths[i] ?? outputTokens;
    const content = promptOf(seed(`words ${i}`), context.words(promptLengths[i] ?? promptTokens, maxTokens));
    const times = await timeRequest(client, { messages: userSays(content), maxTokens, salt: context.salt() });
    sessions.give(client);
    return times;
  };
  const requests = await Promise.all(poissonArrivals(seed('arrivals'), rate, count).map(ask));
  const durationMs = Math.max(...requests.map(({ sentAt, endMs }) => sentAt + endMs)) - start;
  return { concurrency, rate, durationMs, requests };
}

/** Sessions that have nothing to do, handed out to who has waited longest. */
class IdleSessions {
  readonly #idle: Client[];
  readonly #waiting: ((client: Client) => void)[] = [];

  constructor(clients: readonly Client[]) {
    this.#idle = [...clients];
  }

  take(): Promise<Client> {
    const client = this.#idle.shift();
    if (client !== undefined) return Promise.resolve(client);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  give(client: Client): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(client);
    else next(client);
  }
}
