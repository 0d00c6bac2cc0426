import { afterAll, expect, test } from 'vitest';
import { type Client, createClient, type LogLine } from '../../src/index.ts';
import { removeKeptPrefixes } from '../../src/storage/prefix-manifest.ts';
import { injectFault } from '../../src/testing.ts';
import { opfsPrefixStorage } from '../../src/worker/keep-prefixes.ts';
import { tinyModel } from '../support/tiny-model.ts';

// Everything real, OPFS too. Of twelve layers, so that computing a prompt takes longer than reading its KV.

const bytes = tinyModel({ type: 'mixed', preset: 'babble', numLayers: 12 });
const file = new File([bytes], 'babble.gguf', { lastModified: 1 });
const storage = opfsPrefixStorage();
if (storage === undefined) throw new Error('this browser has no OPFS');
await removeKeptPrefixes(storage);

const log: LogLine[] = [];
const options = { model: file, kvCacheBytes: 64 * 2 ** 20, onLog: (line: LogLine) => log.push(line) };
let client: Client = await createClient({ ...options, persistPrefixCache: { maxBytes: 16 * 2 ** 20 } });
afterAll(() => client.close());

const CONTENT = Array.from({ length: 40 }, (_, i) => `line ${i * i}`).join(', ');

async function ask() {
  const messages = [{ role: 'user', content: CONTENT }] as const;
  const { choices, usage } = await client.chat.completions.create({ messages, temperature: 0, max_tokens: 8 });
  const { prompt_tokens: tokens, prompt_tokens_details: details } = usage;
  return { text: choices[0]?.message.content, cached: details?.cached_tokens ?? 0, tokens };
}

async function logged(what: RegExp): Promise<string> {
  for (;;) {
    const line = log.find(({ message }) => what.test(message));
    if (line !== undefined) return line.message;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const numKept = async (): Promise<number> => {
  return (await storage.listManifests()).reduce((sum, { blocks }) => sum + blocks.length, 0);
};

test('a prompt that was asked twice is found by the next worker', async () => {
  const first = await ask();
  expect(first).toMatchObject({ text: expect.stringMatching(/\w/), cached: 0 });
  expect(first.tokens).toBeGreaterThan(8 * 16);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await numKept()).toBe(0); // asked once, it is not hot
  const second = await ask();
  expect(second.cached).toBeGreaterThanOrEqual(8 * 16);
  await logged(/kept \d+ more blocks/);
  expect(await numKept()).toBe(second.cached / 16);

  await injectFault(client, 'worker_died');
  await client.completions.create({ prompt: 'Hi', max_tokens: 1 }); // for which the next worker loads the model
  console.log(await logged(/restored \d+ blocks/));
  expect((await client.metrics()).promptTokens).toBeLessThan(16); // it has not computed it
  const third = await ask();
  expect(third).toEqual(second);
  expect(third.text).toBe(first.text);
});

test('false deletes what was kept', async () => {
  expect(await numKept()).toBeGreaterThan(0);
  const before = client;
  await injectFault(before, 'worker_died');
  await before.close();
  client = await createClient({ ...options, persistPrefixCache: false });
  await expect.poll(numKept).toBe(0);
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('tabserve-prefixes');
  const left: string[] = [];
  for await (const name of root.keys()) left.push(name);
  expect(left).toEqual([]);
  expect((await ask()).cached).toBe(0);
});
