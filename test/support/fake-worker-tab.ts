import { createClientOn, openUnlessAborted } from '../../src/client/create-client.ts';
import type { Client } from '../../src/client/client.ts';
import type { ClientOptions } from '../../src/client/create-client.ts';
import { ElectedTransport } from '../../src/client/elected-transport.ts';
import type { Ownership } from '../../src/client/ownership.ts';
import { BroadcastRendezvous, BrokerRendezvous } from '../../src/client/rendezvous.ts';
import { SharedWorkerTransport } from '../../src/client/shared-worker-transport.ts';
import type { Transport } from '../../src/client/transport.ts';
import type { Rendezvous } from '../../src/client/rendezvous.ts';
import { shareOwner } from '../../src/client/engine-owner.ts';
import { BROKER_NAME, CHANNEL_NAME } from '../../src/core/rendezvous.ts';
import { tinyModel } from './tiny-model.ts';

/** A file of that name, the same for every tab of one test file: a SharedWorker outlives a test. Each has its own content. */
export function tinyFile(name = 'tiny.gguf'): File {
  const seed = [...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
  return new File([tinyModel({ type: 'Q8_0', seed })], name, { lastModified: 1 });
}

/** To the engine of fake-worker.ts: the one that is shared under this name, as by the tabs of one release. */
function fakeTransport(name: string, ownership: Ownership): Transport {
  const script = new URL('./fake-worker.ts', import.meta.url);
  const { locks } = navigator;
  const startShared = (workerName: string) => new SharedWorker(script, { type: 'module', name: workerName });
  const startWorker = (): Worker => new Worker(script, { type: 'module' });
  const elected = (rendezvous: Rendezvous): Transport =>
    new ElectedTransport(rendezvous, shareOwner(`${ownership} ${name}`, { locks, startWorker, rendezvous }));
  switch (ownership) {
    case 'shared-worker':
      return new SharedWorkerTransport(() => startShared(name));
    case 'elected':
      return elected(new BrokerRendezvous(() => startShared(`${BROKER_NAME}-${name}`), locks));
    case 'elected-broadcast':
      return elected(new BroadcastRendezvous(`${CHANNEL_NAME}-${name}`));
  }
}

/** A client of the worker in fake-worker.ts. */
export async function fakeClient(
  name: string,
  { ownership = 'shared-worker', ...options }: Partial<ClientOptions> = {},
): Promise<Client> {
  const connection = await openUnlessAborted(fakeTransport(name, ownership), options.signal);
  return createClientOn(connection, { model: tinyFile(), onLog: () => {}, ...options });
}

/** The text of an answer of `numTokens` tokens to a prompt, as it arrives. */
export async function streamText(client: Client, prompt: string, numTokens: number): Promise<string> {
  const messages = [{ role: 'user', content: prompt }] as const;
  const body = { messages, stream: true, seed: 5, max_tokens: numTokens } as const;
  let text = '';
  for await (const { choices } of await client.chat.completions.create(body)) text += choices[0]?.delta.content ?? '';
  return text;
}

/** A tab in an iframe: it sends a request, and receives until it is removed. */
export async function streamForever(name: string, ownership: Ownership): Promise<void> {
  const client = await fakeClient(name, { ownership });
  await client.chat.completions.create({ messages: [{ role: 'user', content: 'Hi' }], stream: true });
}

export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** A second tab, as far as the worker can tell: a document of its own, with its own locks and workers, that streams. */
export async function openTab(name: string, ownership: Ownership = 'shared-worker'): Promise<HTMLIFrameElement> {
  const iframe = document.createElement('iframe');
  iframe.src = '/test/support/blank.html';
  document.body.append(iframe);
  await new Promise((resolve) => iframe.addEventListener('load', resolve, { once: true }));
  const script = iframe.contentDocument?.createElement('script');
  if (script === undefined) throw new Error('The iframe has no document.');
  script.type = 'module';
  script.textContent = `
    import { streamForever } from '/test/support/fake-worker-tab.ts';
    const show = (text) => { document.title = text };
    streamForever(${JSON.stringify(name)}, '${ownership}').then(() => show('streams'), (error) => show(error.stack));
  `;
  iframe.contentDocument?.body.append(script);
  await until(async () => iframe.contentDocument?.title !== '');
  if (iframe.contentDocument?.title !== 'streams') throw new Error(iframe.contentDocument?.title);
  return iframe;
}
