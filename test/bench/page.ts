import { wrap } from 'comlink';
import { createClient } from '../../src/index.ts';
import type { EngineBench } from './engine-worker.ts';
import type { BenchFigures, BenchOptions, ClientFigures } from './figures.ts';

/** What run.mjs calls. */
async function runBench(options: BenchOptions): Promise<BenchFigures> {
  console.log('engine: loading and measuring');
  const worker = new Worker(new URL('./engine-worker.ts', import.meta.url), { type: 'module' });
  const engine = await wrap<EngineBench>(worker).benchEngine(options);
  worker.terminate();
  console.log('client: loading and measuring');
  return { engine, client: await benchClient(options) };
}

/** The first token's way: page, SharedWorker, tokenizer, scheduler, GPU and back. */
async function benchClient({ modelUrl, repeats }: BenchOptions): Promise<ClientFigures> {
  const client = await createClient({ model: modelUrl });
  const ttftMs: number[] = [];
  let promptTokens = 0;
  try {
    for (let i = -1; i < repeats; i++) {
      const messages = [{ role: 'user', content: 'What is the capital of France?' }] as const;
      // A salt of its own: a prompt found in the prefix cache would say nothing of prefill.
      const tabserve = { cache_salt: `ttft ${i}` };
      const body = { messages, temperature: 0, max_tokens: 4, stream: true, tabserve } as const;
      const stream = await client.chat.completions.create(body);
      for await (const _ of stream);
      promptTokens = stream.usage?.prompt_tokens ?? 0;
      const { ttft_ms } = stream.timings;
      if (ttft_ms === undefined) throw new Error('the client saw no text');
      if (i >= 0) ttftMs.push(ttft_ms); // the one before was the first of everything
    }
  } finally {
    await client.close();
  }
  return { promptTokens, ttftMs };
}

Object.assign(globalThis, { runBench });
