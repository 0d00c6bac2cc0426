import type { BenchContext } from './bench-context.ts';
import { ttftOf } from './bench-context.ts';
import { EndlessStream } from './endless-stream.ts';
import { type PartRows, RowList } from './rows.ts';
import { requireAnswer, timeRequest, userSays } from './time-request.ts';
import { promptOf } from './workload.ts';

/** What a new request waits for its first token when nothing else runs, and while other sessions' answers are under way. */
export async function measureBusy(context: BenchContext): Promise<PartRows> {
  const { streams, promptTokens, repeats } = context.sizes.busy;
  const words = context.words(promptTokens, 1);
  console.log('busy: nothing else runs');
  const idle = await askOften(context, words, repeats);
  console.log(`busy: beside ${streams} streams`);
  const busy = await context.withSessions(streams, async (clients) => {
    const stop = new AbortController();
    const others = clients.map((client, i) => new EndlessStream(context, client, 1000 * i, stop.signal));
    try {
      await Promise.all(others.map((stream) => stream.reached(1)));
      const asked = askOften(context, words, repeats);
      // A stream that fails is no load any more.
      return await Promise.race([asked, Promise.all(others.map(({ ended }) => ended)).then(() => asked)]);
    } finally {
      stop.abort();
    }
  });
  const list = new RowList('busy');
  const row = { metric: 'TTFT', unit: 'ms', better: 'lower' } as const;
  const dimensions = { model: context.client.model.name, prompt: idle.promptTokens };
  list.add({ ...row, dimensions: { ...dimensions, 'other streams': 0 }, samples: idle.ttftMs });
  list.add({ ...row, dimensions: { ...dimensions, 'other streams': streams }, samples: busy.ttftMs });
  return list;
}

/** The same prompt again and again, each time by a session of its own, with nothing of it cached. */
async function askOften(context: BenchContext, words: number, repeats: number) {
  const ttftMs: number[] = [];
  let promptTokens = 0;
  for (let i = 0; i < repeats; i++) {
    const question = { messages: userSays(promptOf(0, words)), maxTokens: 1, salt: context.salt() };
    const times = await context.withSessions(1, async ([client = context.client]) => requireAnswer(timeRequest(client, question)));
    ttftMs.push(ttftOf(times));
    promptTokens = times.promptTokens;
  }
  return { ttftMs, promptTokens };
}
