import { inspect } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { BroadcastLink } from '../../../src/core/broadcast-link.ts';
import type { Channel } from '../../../src/core/broadcast-link.ts';
import { KeyExchange } from '../../../src/core/link-keys.ts';

const open: BroadcastChannel[] = [];
afterEach(() => {
  for (const channel of open.splice(0)) channel.close();
});

/** Each test has a channel of its own. */
class Room {
  readonly #name = crypto.randomUUID();

  enter(): BroadcastChannel {
    const channel = new BroadcastChannel(this.#name);
    open.push(channel);
    return channel;
  }

  /** All that is said from here on. */
  listen(): unknown[] {
    const heard: unknown[] = [];
    this.enter().addEventListener('message', ({ data }) => heard.push(data));
    return heard;
  }
}

interface Pair {
  readonly room: Room;
  readonly tab: BroadcastLink;
  readonly worker: BroadcastLink;
  /** What the worker has received. */
  readonly received: unknown[];
}

/** @param wrap what the tab's end posts to and listens on */
async function link(wrap: (channel: BroadcastChannel) => Channel = (channel) => channel): Promise<Pair> {
  const room = new Room();
  const [ofTab, ofWorker] = [await KeyExchange.begin(), await KeyExchange.begin()];
  const ends = {
    tab: { address: 'tab', publicKey: ofTab.publicKey },
    worker: { address: 'worker', publicKey: ofWorker.publicKey },
  };
  const tab = new BroadcastLink({ channel: wrap(room.enter()), local: 'tab', remote: 'worker', keys: ofTab.agree('tab', ends) });
  const worker = new BroadcastLink({ channel: room.enter(), local: 'worker', remote: 'tab', keys: ofWorker.agree('worker', ends) });
  const received: unknown[] = [];
  worker.addEventListener('message', (event) => received.push((event as MessageEvent).data));
  return { room, tab, worker, received };
}

const next = (target: EventTarget, type = 'message'): Promise<unknown> =>
  new Promise((resolve) => target.addEventListener(type, (event) => resolve((event as MessageEvent).data), { once: true }));

/** Resolves once all that was posted before has been received. */
async function settle({ tab, received }: Pair): Promise<void> {
  tab.postMessage('settled');
  while (received.at(-1) !== 'settled') await new Promise((resolve) => setTimeout(resolve, 1));
  received.pop();
}

test('thousands of messages, of any length, arrive in order, each once, in both directions', async () => {
  const pair = await link();
  const back: unknown[] = [];
  pair.tab.addEventListener('message', (event) => back.push((event as MessageEvent).data));
  const sent = Array.from({ length: 1000 }, (_, i) => ({ i, text: 'x'.repeat((i * 7919) % 500) }));
  for (const message of sent) {
    pair.tab.postMessage(message);
    pair.worker.postMessage(message);
  }
  pair.worker.postMessage('last');
  await settle(pair);
  while (back.at(-1) !== 'last') await new Promise((resolve) => setTimeout(resolve, 1));
  expect(pair.received).toEqual(sent);
  expect(back.slice(0, -1)).toEqual(sent);
});

test('a message is as it was when it was posted', async () => {
  const pair = await link();
  const message = { text: 'before' };
  pair.tab.postMessage(message);
  message.text = 'after';
  await settle(pair);
  expect(pair.received).toEqual([{ text: 'before' }]);
});

test('who listens sees nothing of what is said, and no two messages alike', async () => {
  const pair = await link();
  const heard = pair.room.listen();
  for (let i = 0; i < 2; i++) pair.tab.postMessage({ token: 'hf_secret', prompt: 'What is the capital of France?' });
  await settle(pair);
  const seen = heard.map((message) => {
    const { ciphertext } = message as { ciphertext: ArrayBuffer };
    return `${inspect(message)} ${Buffer.from(ciphertext).toString('latin1')}`;
  });
  expect(seen.length).toBe(3);
  for (const text of seen) expect(text).not.toMatch(/hf_secret|France|token|prompt/);
  const [first, second] = heard as { ciphertext: ArrayBuffer }[];
  expect(Buffer.from(first?.ciphertext ?? new ArrayBuffer(0)).equals(Buffer.from(second?.ciphertext ?? new ArrayBuffer(0)))).toBe(false);
});

test('what is forged, stray, changed, repeated or sent back changes nothing', async () => {
  const pair = await link();
  const heard = pair.room.listen();
  pair.tab.postMessage('one');
  await settle(pair);
  const [one] = heard as { number: number; ciphertext: ArrayBuffer; blobs: Blob[] }[];
  if (one === undefined) throw new Error('Nothing was heard.');
  const changed = one.ciphertext.slice(0);
  new Uint8Array(changed)[0] = (new Uint8Array(changed)[0] ?? 0) ^ 1;
  const post = (message: unknown): void => stranger.postMessage(message);
  const stranger = pair.room.enter();
  const ofNext = { ...one, number: 2 };
  for (const message of [
    null, 7, 'data', {}, { type: 'data' }, { type: 'data', to: 'worker', data: 'clear' }, // stray
    { type: 'data', to: 'worker', number: 2, ciphertext: new ArrayBuffer(0), blobs: [] },
    { type: 'data', to: 'worker', number: 2, ciphertext: new ArrayBuffer(64), blobs: [] },
    { ...one, number: -1 }, { ...one, number: 0.5 }, { ...one, number: 2 ** 60 }, { ...one, blobs: 'none' },
    one, ofNext, { ...ofNext, ciphertext: changed }, // repeated, under its own and the next number; changed
    { ...ofNext, to: 'tab' }, { ...one, to: 'tab' }, // sent back
    { ...one, number: 2 ** 52 },
  ]) post(message);
  const errors: unknown[] = [];
  for (const end of [pair.tab, pair.worker]) end.addEventListener('messageerror', (event) => errors.push(event));
  await settle(pair);
  pair.tab.postMessage('two');
  await settle(pair);
  expect(pair.received).toEqual(['one', 'two']);
  const answer = next(pair.tab);
  pair.worker.postMessage('answer');
  expect(await answer).toBe('answer');
  expect(errors).toEqual([]);
});

test('a message with another file than its own is ignored', async () => {
  let isSwapped = true;
  const pair = await link((channel) => ({
    addEventListener: channel.addEventListener.bind(channel),
    removeEventListener: channel.removeEventListener.bind(channel),
    postMessage: (message: { blobs: readonly Blob[] }) => {
      if (isSwapped) channel.postMessage({ ...message, blobs: message.blobs.map(() => new Blob(['another'])) });
      isSwapped = false;
      channel.postMessage(message);
    },
  }));
  pair.tab.postMessage({ source: new File(['GGUF'], 'm.gguf') });
  await settle(pair);
  const [{ source }] = pair.received as [{ source: File }];
  expect([pair.received.length, source.name, await source.text()]).toEqual([1, 'm.gguf', 'GGUF']);
});

test('where a message is missed nothing after it arrives, and both ends are told', async () => {
  let number = 0;
  const pair = await link((channel) => ({
    addEventListener: channel.addEventListener.bind(channel),
    removeEventListener: channel.removeEventListener.bind(channel),
    postMessage: (message: unknown) => void (number++ === 1 || channel.postMessage(message)),
  }));
  const told = Promise.all([next(pair.tab, 'messageerror'), next(pair.worker, 'messageerror')]);
  for (const message of ['one', 'two', 'three', 'four']) pair.tab.postMessage(message);
  await told;
  pair.tab.postMessage('five');
  expect(pair.received).toEqual(['one']);
});

test('messages that are exchanged by two senders are refused as well', async () => {
  const held: unknown[] = [];
  const pair = await link((channel) => ({
    addEventListener: channel.addEventListener.bind(channel),
    removeEventListener: channel.removeEventListener.bind(channel),
    postMessage: (message: unknown) => void (held.push(message) === 2 && held.toReversed().forEach((each) => channel.postMessage(each))),
  }));
  const told = next(pair.worker, 'messageerror');
  pair.tab.postMessage('one');
  pair.tab.postMessage('two');
  await told;
  expect(pair.received).toEqual([]);
});

test('a link that is closed still sends what was posted, then lets go of the channel, and receives nothing', async () => {
  const room = new Room();
  const [ofTab, ofWorker] = [await KeyExchange.begin(), await KeyExchange.begin()];
  const ends = { tab: { address: 't', publicKey: ofTab.publicKey }, worker: { address: 'w', publicKey: ofWorker.publicKey } };
  const channel = room.enter();
  const closed = new Promise<void>((resolve) => {
    const tab = new BroadcastLink({
      channel, local: 't', remote: 'w', keys: ofTab.agree('tab', ends), onClosed: () => resolve(channel.close()),
    });
    for (let i = 0; i < 20; i++) tab.postMessage(i);
    tab.addEventListener('message', () => expect.fail('received'));
    tab.close();
    tab.postMessage('late');
  });
  const worker = new BroadcastLink({ channel: room.enter(), local: 'w', remote: 't', keys: ofWorker.agree('worker', ends) });
  worker.postMessage('to nobody');
  const received: unknown[] = [];
  const last = new Promise<void>((resolve) => {
    worker.addEventListener('message', (event) => void (received.push((event as MessageEvent).data) === 20 && resolve()));
  });
  await closed;
  await last;
  expect(received).toEqual(Array.from({ length: 20 }, (_, i) => i));
});

test('what cannot be sent is refused at once, and nothing is missed for it', async () => {
  const pair = await link();
  expect(() => pair.tab.postMessage({ callback: () => {} })).toThrow(/could not be cloned/);
  pair.tab.postMessage('one');
  await settle(pair);
  expect(pair.received).toEqual(['one']);
});

test('a link that can send no more says so', async () => {
  const pair = await link((channel) => ({
    addEventListener: channel.addEventListener.bind(channel),
    removeEventListener: channel.removeEventListener.bind(channel),
    postMessage: () => {
      throw new Error('no memory');
    },
  }));
  const told = next(pair.tab, 'messageerror');
  pair.tab.postMessage('one');
  await told;
});
