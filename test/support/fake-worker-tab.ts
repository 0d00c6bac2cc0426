import type { Client } from '../../src/client/client.ts';
import { createClientOn } from '../../src/client/create-client.ts';
import type { ClientOptions } from '../../src/client/create-client.ts';
import { tinyModel } from './tiny-model.ts';

/** The same file for every tab of one test file; a SharedWorker outlives a test. */
export function tinyFile(name = 'tiny.gguf'): File {
  return new File([tinyModel({ type: 'Q8_0' })], name, { lastModified: 1 });
}

/** A client of the worker in fake-worker.ts: the one that is shared under this name. */
export function fakeClient(name: string, options: Partial<ClientOptions> = {}): Promise<Client> {
  const start = (): SharedWorker => {
    return new SharedWorker(new URL('./fake-worker.ts', import.meta.url), { type: 'module', name });
  };
  return createClientOn(start, { model: tinyFile(), ...options });
}

/** What a tab does in an iframe: it asks, and goes on receiving until it is removed. */
export async function streamForever(name: string): Promise<void> {
  const client = await fakeClient(name);
  await client.chat.completions.create({ messages: [{ role: 'user', content: 'Hi' }], stream: true });
}
