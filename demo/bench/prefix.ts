import { seededRandom } from './seeded-random.mjs';
import { type BenchContext, ttftOf } from './bench-context.ts';
import type { PrefixFigures } from './figures.ts';
import { requireAnswer, timeRequest } from './time-request.ts';
import { wordsOf } from './workload.ts';

const QUESTIONS = ['What is the capital of France?', 'How do birds find their way?'] as const;
const ANSWER_TOKENS = 4;

/** What a system prompt costs the first session that asks after it, and what the second one. */
export async function measurePrefix(context: BenchContext): Promise<PrefixFigures> {
  const { promptTokens, repeats } = context.sizes.prefix;
  const words = context.words(promptTokens, 2 * ANSWER_TOKENS);
  const firstMs: number[] = [];
  const secondMs: number[] = [];
  const cachedTokens: number[] = [];
  let measured = 0;
  for (let i = 0; i < repeats; i++) {
    console.log(`prefix: ${i + 1} of ${repeats}`);
    const system = wordsOf(seededRandom(i), words);
    const salt = context.salt();
    await context.withSessions(2, async (clients) => {
      for (const [j, client] of clients.entries()) {
        const messages = [{ role: 'system', content: system }, { role: 'user', content: QUESTIONS[j] ?? '' }] as const;
        const { prefixCacheHits } = await client.metrics();
        const times = await requireAnswer(timeRequest(client, { messages, maxTokens: ANSWER_TOKENS, salt }));
        (j === 0 ? firstMs : secondMs).push(ttftOf(times));
        if (j === 0) measured = times.promptTokens;
        // A client's usage tells nothing of what others have asked.
        else cachedTokens.push((await client.metrics()).prefixCacheHits - prefixCacheHits);
      }
    });
  }
  return { promptTokens: measured, firstMs, secondMs, cachedTokens };
}
