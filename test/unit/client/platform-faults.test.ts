import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { deleteModel, listModels, persistModels } from '../../../src/cache.ts';
import type { Client } from '../../../src/client/client.ts';
import { createClient } from '../../../src/client/create-client.ts';
import { checkSupport, missingSupport } from '../../../src/client/support.ts';
import { TabserveError } from '../../../src/core/errors.ts';
import { injectFault } from '../../../src/testing.ts';
import { FakePage } from '../../support/fake-page.ts';

// A browser may deny a page any of its APIs, each in its own way. Nothing leaves the client but TabserveErrors, nothing
// waits for ever, and a client that could not be had holds nothing.

let page: FakePage;

beforeEach(() => {
  page = new FakePage();
});

afterEach(() => page.close());

const denial = (): DOMException => new DOMException('Denied here.', 'SecurityError');

function deny(): never {
  throw denial();
}

/** An object like another, with a getter or a method that is denied. */
function denying<T extends object>(object: T, ...names: readonly (keyof T & string)[]): T {
  const getters = Object.fromEntries(names.map((name) => [name, { get: deny }]));
  return Object.create(object, getters) as T;
}

function denyGlobal(name: string): void {
  const before = Object.getOwnPropertyDescriptor(globalThis, name);
  Object.defineProperty(globalThis, name, { get: deny, configurable: true });
  undo.push(() => (before === undefined ? Reflect.deleteProperty(globalThis, name) : Object.defineProperty(globalThis, name, before)));
}

const undo: (() => unknown)[] = [];
afterEach(() => {
  for (const each of undo.splice(0).toReversed()) each();
  vi.restoreAllMocks();
});

const stubNavigator = (changes: object): void => void vi.stubGlobal('navigator', { ...navigator, ...changes });
const stubLocks = (changes: object): void => stubNavigator({ locks: { ...navigator.locks, ...changes } });
class Denied {
  constructor() {
    deny();
  }
}

const FAULTS: Readonly<Record<string, () => void>> = {
  'navigator.locks': () => vi.stubGlobal('navigator', denying(navigator, 'locks')),
  'locks.query()': () => stubLocks({ query: () => Promise.reject(denial()) }),
  'locks.request()': () => stubLocks({ request: () => Promise.reject(denial()) }),
  'locks.request() at once': () => stubLocks({ request: deny }),
  'navigator.gpu': () => vi.stubGlobal('navigator', denying(navigator, 'gpu')),
  'gpu.requestAdapter()': () => stubNavigator({ gpu: { requestAdapter: () => Promise.reject(denial()) } }),
  'gpu.requestAdapter() at once': () => stubNavigator({ gpu: { requestAdapter: deny } }),
  'navigator.storage': () => vi.stubGlobal('navigator', denying(Object.assign(navigator, { storage: {} }), 'storage')),
  'storage.getDirectory()': () => {
    stubNavigator({ storage: { getDirectory: () => Promise.reject(denial()), persist: deny } });
    vi.stubGlobal('indexedDB', { open: deny });
  },
  navigator: () => denyGlobal('navigator'),
  indexedDB: () => denyGlobal('indexedDB'),
  document: () => denyGlobal('document'),
  'document.baseURI': () => vi.stubGlobal('document', denying(document, 'baseURI')),
  location: () => denyGlobal('location'),
  'location.origin': () => vi.stubGlobal('location', denying(location, 'origin')),
  SharedWorker: () => vi.stubGlobal('SharedWorker', Denied),
  Worker: () => vi.stubGlobal('Worker', Denied),
  MessageChannel: () => vi.stubGlobal('MessageChannel', Denied),
  BroadcastChannel: () => vi.stubGlobal('BroadcastChannel', Denied),
  'port.postMessage()': () => vi.spyOn(MessagePort.prototype, 'postMessage').mockImplementation(deny),
  'channel.postMessage()': () => vi.spyOn(BroadcastChannel.prototype, 'postMessage').mockImplementation(deny),
  'crypto.randomUUID()': () => vi.spyOn(crypto, 'randomUUID').mockImplementation(deny),
  'crypto.getRandomValues()': () => vi.spyOn(crypto, 'getRandomValues').mockImplementation(deny),
  'crypto.subtle': () => vi.spyOn(crypto, 'subtle', 'get').mockImplementation(deny),
};

type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** Loads that the worker is asked for end as soon as they have begun. */
async function settled(promise: Promise<unknown>): Promise<Outcome> {
  let outcome: Outcome | undefined;
  promise.then((value) => (outcome = { value }), (error: unknown) => (outcome = { error }));
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (outcome !== undefined) return outcome;
    for (const load of page.origin.loader?.loads ?? []) load.finish();
  }
}

const WAYS = ['shared-worker', 'elected', 'elected-broadcast'] as const;
type Way = (typeof WAYS)[number];

const create = (ownership: Way): Promise<Client> =>
  createClient({ model: 'm.gguf', workerUrl: '/engine-worker.js', ownership, onLog: () => {} });

async function openClient(): Promise<Client> {
  const outcome = await settled(create('shared-worker'));
  if ('error' in outcome) throw outcome.error;
  return outcome.value as Client;
}

const body = { messages: [{ role: 'user', content: 'Hi' }] } as const;

/** All that a page can call once it has a client. Requests end by being aborted. */
const CALLS: Readonly<Record<string, (client: Client) => Promise<unknown>>> = {
  metrics: (client) => client.metrics(),
  inspect: (client) => client.inspect(),
  profile: (client) => client.profile(),
  limits: (client) => client.limits(),
  'chat.completions.create': (client) => client.chat.completions.create(body, { signal: AbortSignal.timeout(1) }),
  'completions.create': (client) => client.completions.create({ prompt: 'Hi' }, { signal: AbortSignal.timeout(1) }),
  'a stream': async (client) => {
    const stream = await client.chat.completions.create({ ...body, stream: true });
    setTimeout(() => stream.abort(), 0);
    for await (const _ of stream);
  },
  'a readable stream': async (client) => {
    const stream = await client.chat.completions.create({ ...body, stream: true });
    await stream.toReadableStream().cancel();
  },
  injectFault: (client) => injectFault(client, 'device_lost'),
  close: (client) => client.close(),
};

test('without a fault all of it works', async () => {
  for (const way of WAYS) {
    const outcome = await settled(create(way));
    expect(outcome, way).toMatchObject({ value: { model: { id: 'https://app.test/m.gguf' } } });
    await ('value' in outcome ? (outcome.value as Client) : undefined)?.close();
  }
  const client = await openClient();
  for (const [name, call] of Object.entries(CALLS)) {
    const outcome = await settled(call(client));
    if ('error' in outcome) expect([name, (outcome.error as TabserveError).code]).toEqual([expect.stringMatching(/completions\.create/), 'aborted']);
  }
});

describe.each(Object.keys(FAULTS))('%s denied', (name) => {
  const fault = (): void => FAULTS[name]?.();

  test('createClient resolves, or rejects with a TabserveError and holds nothing', async () => {
    fault();
    for (const way of WAYS) {
      const outcome = await settled(create(way));
      if ('value' in outcome) await (outcome.value as Client).close();
      else expect(outcome.error, way).toBeInstanceOf(TabserveError);
      const held = () => page.origin.locks.held.filter((lock) => /^tabserve:(session|owner)/.test(lock));
      while (held().length > 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
  });

  test('what a client is asked resolves, or rejects with a TabserveError', async () => {
    const client = await openClient();
    fault();
    for (const [call, ask] of Object.entries(CALLS)) {
      const outcome = await settled(ask(client));
      if ('error' in outcome) expect(outcome.error, call).toBeInstanceOf(TabserveError);
    }
  });

  test('missingSupport and checkSupport tell, and tabserve/cache has its own error', async () => {
    fault();
    expect(['string', 'undefined']).toContain(typeof missingSupport());
    expect(await checkSupport()).toHaveProperty('supported');
    expect(await persistModels()).toBe(false);
    for (const use of [listModels, () => deleteModel('https://x.test/m.gguf')]) {
      const outcome = await settled(use());
      if ('error' in outcome) expect(outcome.error).toMatchObject({ name: 'TabserveError', code: 'storage_failed' });
    }
  });
});

test.each<[string, Way, string, RegExp]>([
  ['navigator.locks', 'shared-worker', 'webgpu_unavailable', /no Web Locks/],
  ['locks.query()', 'shared-worker', 'webgpu_unavailable', /denies.*Web Locks.*Denied here\..*cookies/],
  ['locks.request()', 'shared-worker', 'webgpu_unavailable', /denies.*Denied here\..*cookies/],
  ['locks.request() at once', 'elected', 'webgpu_unavailable', /denies.*Denied here\..*cookies/],
  ['document', 'shared-worker', 'webgpu_unavailable', /no page here/],
  ['SharedWorker', 'shared-worker', 'invalid_request', /refused to start.*Denied here/],
  ['SharedWorker', 'elected', 'invalid_request', /refused to start.*Denied here/],
  ['Worker', 'elected', 'invalid_request', /refused to start.*Denied here/],
  ['Worker', 'elected-broadcast', 'invalid_request', /refused to start.*Denied here/],
  ['MessageChannel', 'elected', 'webgpu_unavailable', /Denied here/],
  ['BroadcastChannel', 'elected-broadcast', 'webgpu_unavailable', /Denied here/],
  ['channel.postMessage()', 'elected-broadcast', 'webgpu_unavailable', /Denied here/],
  ['crypto.randomUUID()', 'shared-worker', 'webgpu_unavailable', /Denied here/],
])('%s denied: createClient by way of %s says %s, and why', async (name, way, code, message) => {
  FAULTS[name]?.();
  expect(await settled(create(way))).toEqual({ error: expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as unknown });
});
