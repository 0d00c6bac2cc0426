import { expect, test } from 'vitest';
import { deleteModel, listModels } from '../../src/cache.ts';
import { createClient } from '../../src/index.ts';
import type { Client, LogLine } from '../../src/index.ts';
import { command, commitUrl, FIRST, NAME, servers } from './loading-lab.ts';

// Everything real but the hub, which is a server that speaks its protocol, and the model, which is tiny.

const TOKEN = 'hf_secret';
const lines: LogLine[] = [];
const hub = { endpoint: servers.hub, token: TOKEN };

async function answer(client: Client): Promise<string | null | undefined> {
  const messages = [{ role: 'user', content: 'Tell me' }] as const;
  const { choices } = await client.chat.completions.create({ messages, temperature: 0, max_tokens: 8 });
  return choices[0]?.message.content;
}

test('a gated model of a hub answers, and answers again without it; the token goes no further', async () => {
  await command({ do: 'reset' });
  for (const { url } of await listModels()) await deleteModel(url);
  await command({ do: 'publish', commit: FIRST, content: { model: 'babble' }, token: TOKEN });
  const options = { model: NAME, kvCacheBytes: 8 * 2 ** 20, onLog: (line: LogLine) => void lines.push(line) };
  await expect(createClient({ ...options, hub: { endpoint: servers.hub } })).rejects.toMatchObject({ code: 'access_denied' });
  const client = await createClient({ ...options, hub });
  const said = await answer(client);
  expect(said).not.toBe('');
  expect(await listModels()).toMatchObject([{ url: commitUrl(FIRST), bytesCached: client.model.fileBytes }]);
  await client.close();

  await command({ do: 'answer', status: 0 });
  const pinned = await createClient({ ...options, model: `${NAME}@${FIRST}`, hub: { endpoint: servers.hub } });
  expect(await answer(pinned)).toBe(said);
  const { cdn } = await command({ do: 'log' });
  expect(cdn.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
  expect(JSON.stringify([client.model, pinned.model, lines, await listModels()])).not.toContain(TOKEN);
  await pinned.close();
});
