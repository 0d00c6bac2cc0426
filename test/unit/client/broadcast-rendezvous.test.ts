import { inspect } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Client } from '../../../src/client/client.ts';
import { createClient } from '../../../src/client/create-client.ts';
import type { ClientOptions } from '../../../src/client/create-client.ts';
import { CHANNEL } from '../../../src/client/engine-worker.ts';
import { BroadcastRendezvous } from '../../../src/client/rendezvous.ts';
import type { Peer } from '../../../src/client/rendezvous.ts';
import { TabserveError } from '../../../src/core/errors.ts';
import { KeyExchange } from '../../../src/core/link-keys.ts';
import { bytes, END } from '../../support/fake-model.ts';
import { FakePage } from '../../support/fake-page.ts';
import { until } from '../../support/until.ts';

const never = new AbortController().signal;
let page: FakePage;
let stranger: BroadcastChannel;
/** What a script of the origin hears that is no part of it. */
let heard: unknown[];

beforeEach(() => {
  page = new FakePage();
  heard = [];
  stranger = new BroadcastChannel(CHANNEL);
  stranger.addEventListener('message', ({ data }) => heard.push(data));
});

afterEach(() => {
  stranger.close();
  page.close();
});

function readable(message: unknown): string {
  const parts = Object.values(message as object).filter((value) => value instanceof ArrayBuffer);
  return `${inspect(message, { depth: 9, maxStringLength: 1e6 })} ${parts.map((part) => Buffer.from(part).toString('latin1')).join(' ')}`;
}

async function openClient(options: Partial<ClientOptions> = {}): Promise<Client> {
  const opening = createClient({
    model: 'm.gguf', ownership: 'elected-broadcast', workerUrl: '/engine-worker.js', onLog: () => {}, ...options,
  });
  await until(() => (page.origin.loader?.loads.length ?? 0) > 0);
  page.origin.loader.last.finish();
  return opening;
}

test('who listens to the channel sees no token, prompt, model or answer', async () => {
  const client = await openClient({ model: 'hf:owner/repo/private.gguf', hub: { token: 'hf_secret' } });
  expect(page.origin.loader.last.options).toMatchObject({ hub: { token: 'hf_secret' } });
  const asked = client.completions.create({ prompt: 'My diagnosis' });
  await until(() => page.origin.loader.last.engine.live.size === 1);
  const { engine } = page.origin.loader.last;
  const [id = ''] = engine.live.keys();
  engine.step({ id, tokens: bytes('is secret.') }, { id, tokens: [END], finish: 'stop' });
  expect((await asked).choices[0]?.text).toBe('is secret.');
  await client.close();
  const all = heard.map(readable).join('\n');
  expect(heard.length).toBeGreaterThan(8);
  expect(all).not.toMatch(/hf_secret|private|diagnosis|secret|is |APPLY|generate/);
});

test('where a message of the worker is lost, the session goes on over another link, and no token is', async () => {
  const client = await openClient();
  const states: string[] = [];
  client.onStatus(({ state }) => states.push(state));
  const asked = client.completions.create({ prompt: 'Hi' });
  const { engine } = page.origin.loader.last;
  await until(() => engine.live.size === 1);
  let isLost = false;
  const lossy = vi.spyOn(BroadcastChannel.prototype, 'postMessage').mockImplementationOnce(() => void (isLost = true));
  engine.step({ id: engine.only, tokens: bytes('lost ') });
  await until(() => isLost);
  engine.step({ id: engine.only, tokens: bytes('seen ') });
  await until(() => states.includes('ready'));
  lossy.mockRestore();
  await until(() => page.origin.loader.last.engine.live.size === 1);
  const next = page.origin.loader.last.engine;
  next.step({ id: next.only, tokens: bytes('again.') }, { id: next.only, tokens: [END], finish: 'stop' });
  expect((await asked).choices[0]?.text).toBe('again.'); // from where this tab was: it had nothing
  expect(states).toEqual(['recovering', 'ready']);
  await client.close();
});

test('a connect message is answered whatever a stranger has said under the same address', async () => {
  const { publicKey } = await KeyExchange.begin();
  new BroadcastRendezvous(CHANNEL).announce(new Worker('/engine-worker.js'));
  await until(() => heard.length > 0);
  for (const key of ['no key', (await KeyExchange.begin()).publicKey, publicKey, publicKey]) {
    stranger.postMessage({ type: 'connect', from: 'a tab', publicKey: key });
  }
  stranger.postMessage({ type: 'connect', from: 'the last', publicKey });
  const accepted = (): string[] => (heard as { type: string; to: string }[]).flatMap(({ type, to }) => (type === 'accepted' ? [to] : []));
  await until(() => accepted().length >= 3); // in any order: keys are derived side by side
  stranger.postMessage({ type: 'connect', from: 'one more', publicKey });
  await until(() => accepted().includes('one more'));
  expect(accepted().toSorted()).toEqual(['a tab', 'a tab', 'one more', 'the last']);
});

async function connect(): Promise<Peer> {
  const peer = await new BroadcastRendezvous(CHANNEL).connect(never);
  ends.push(peer.link);
  return peer;
}

const ends: { close(): void }[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end.close();
});

test('forged and stray answers to a connect message, and connect messages under a tab’s address, keep nobody from connecting', async () => {
  const { publicKey } = await KeyExchange.begin();
  stranger.addEventListener('message', ({ data }: MessageEvent<{ type: string; from: string }>) => {
    if (data.type !== 'connect' || data.from === 'stranger') return;
    for (const key of ['', 'x.y', publicKey, 7]) {
      stranger.postMessage({ type: 'accepted', to: data.from, from: 'stranger', publicKey: key });
      stranger.postMessage({ type: 'connect', from: data.from, publicKey: key });
    }
    stranger.postMessage({ type: 'data', to: data.from, number: 0, ciphertext: new ArrayBuffer(40), blobs: [] });
    stranger.postMessage({ type: 'accepted', to: data.from });
  });
  const meeting = connect();
  await until(() => heard.length > 0); // the first connect message is heard by nobody else: there is no worker yet
  for (const message of [null, 'announce', {}, { type: 'connect' }, { type: 'connect', from: 7 }]) stranger.postMessage(message);
  const worker = new Worker('/engine-worker.js');
  new BroadcastRendezvous(CHANNEL).announce(worker);
  const { link, hostLock } = await meeting;
  expect(hostLock).toBe(page.origin.hostLock);
  expect(link).toBeDefined();
});

test('a tab that gives up while it looks for a worker lets go of the channel', async () => {
  const giveUp = new AbortController();
  const meeting = new BroadcastRendezvous(CHANNEL).connect(giveUp.signal);
  await until(() => heard.length > 0);
  giveUp.abort(new TabserveError('aborted', 'enough'));
  await expect(meeting).rejects.toMatchObject({ message: 'enough' });
  stranger.postMessage({ type: 'announce' });
  const other = new BroadcastChannel(CHANNEL);
  other.postMessage({ type: 'mark' });
  await until(() => heard.some((message) => (message as { type: string }).type === 'mark'));
  other.close();
  expect(heard.map((message) => (message as { type: string }).type)).toEqual(['connect', 'mark']);
});
