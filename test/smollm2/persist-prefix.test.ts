import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type Client, createClient, type LogLine } from '../../src/index.ts';
import { removeKeptPrefixes } from '../../src/storage/prefix-manifest.ts';
import { injectFault } from '../../src/testing.ts';
import { opfsPrefixStorage } from '../../src/worker/keep-prefixes.ts';

// Whether restoring a prefix of SmolLM2-135M-Instruct is faster than computing it, here: `npm run test:smollm2`.

const model = inject('defaultModel');
const MINUTES = 60_000;
const SYSTEM = Array.from({ length: 12 }, (_, i) => `Rule ${i + 1}: answer in one short sentence of plain English.`).join(' ');

describe.skipIf('reason' in model).each(['f32', 'int8'] as const)('SmolLM2-135M-Instruct, %s KV', (kvCacheDtype) => {
  const log: LogLine[] = [];
  let client: Client;
  beforeAll(async () => {
    if ('reason' in model) return;
    const onLog = (line: LogLine): void => void log.push(line);
    client = await createClient({ model: model.url, kvCacheDtype, persistPrefixCache: true, onLog });
  }, 5 * MINUTES);
  afterAll(async () => {
    await injectFault(client, 'worker_died'); // the next one loads with another KV cache
    await client.close();
    const storage = opfsPrefixStorage();
    if (storage !== undefined) await removeKeptPrefixes(storage);
  });

  async function ask(content: string) {
    const messages = [{ role: 'system', content: SYSTEM }, { role: 'user', content }] as const;
    const { choices, usage } = await client.chat.completions.create({ messages, temperature: 0, max_tokens: 8 });
    return { text: choices[0]?.message.content, cached: usage.prompt_tokens_details?.cached_tokens, tokens: usage.prompt_tokens };
  }

  test('a system prompt that was used twice is restored by the next worker', async () => {
    await ask('What is the capital of France?');
    const before = await ask('What is the capital of Italy?');
    await expect.poll(() => log.some(({ message }) => message.includes('kept')), { timeout: MINUTES }).toBe(true);
    await injectFault(client, 'worker_died');
    const restored = /restored \d+ blocks/;
    await expect.poll(() => log.some(({ message }) => restored.test(message)), { timeout: MINUTES }).toBe(true);
    const after = await ask('What is the capital of Italy?');
    console.log(`${JSON.stringify(after)}: ${log.find(({ message }) => restored.test(message))?.message}`);
    expect(after).toEqual(before);
    expect(after.cached).toBeGreaterThan(128);
  }, 5 * MINUTES);
});
