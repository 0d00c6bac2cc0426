import type { Client } from '../../../src/client/client.ts';
import { createClient } from '../../../src/index.ts';
import { settled } from '../../../demo/bench/settled.ts';
import type { PageOptions, PeerSubject, PeerTask, PeerTiming } from '../peer.ts';
import { exposePeer } from './expose.ts';
import { TokenClock } from './token-clock.ts';

let client: Client | undefined;

function opened(): Client {
  if (client === undefined) throw new Error('load comes first');
  return client;
}

/** Loads the model as an app would, with every setting as it is by default, and waits until no kernel is compiled or raced. */
async function load({ modelUrl }: PageOptions): Promise<PeerSubject> {
  client = await createClient({ model: modelUrl });
  const { adapter, tuning } = await client.metrics();
  if (adapter === undefined) throw new Error('a model is loaded, and there is no adapter');
  const device = [adapter.vendor, adapter.architecture, adapter.description].filter((part) => part !== '').join(' ');
  const { numerics, kvCacheBytes } = client.model;
  return { version: __TABSERVE_BUILD_ID__, device, settings: { numerics, kvCacheBytes, tuning: tuning?.state ?? 'off' } };
}

async function ask({ messages, maxTokens }: PeerTask): Promise<PeerTiming> {
  await settled(opened());
  const clock = new TokenClock();
  // A salt of its own: nothing comes from the prefix cache.
  const stream = await opened().chat.completions.create({
    messages: [...messages],
    temperature: 0,
    max_tokens: maxTokens,
    stream: true,
    tabserve: { cache_salt: crypto.randomUUID() },
  });
  let text = '';
  for await (const { choices } of stream) {
    const piece = choices[0]?.delta.content ?? '';
    if (piece === '') continue;
    clock.tick();
    text += piece;
  }
  const { prompt_tokens: promptTokens = 0, completion_tokens: outputTokens = 0 } = stream.usage ?? {};
  return { ...clock.times(), promptTokens, outputTokens, text };
}

exposePeer({ load, ask, gpuSubmits: async () => (await opened().metrics()).counters.submits });
