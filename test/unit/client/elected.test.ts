import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ClientSession } from '../../../src/client/session.ts';
import { createClient } from '../../../src/client/create-client.ts';
import type { Client } from '../../../src/client/client.ts';
import { ElectedTransport } from '../../../src/client/elected-transport.ts';
import { MAX_STARTS, shareOwner, START_TIMEOUT_MS } from '../../../src/client/engine-owner.ts';
import { BroadcastRendezvous, BrokerRendezvous } from '../../../src/client/rendezvous.ts';
import type { Peer, Rendezvous } from '../../../src/client/rendezvous.ts';
import type { HostLink } from '../../../src/client/transport.ts';
import type { ListenMessage } from '../../../src/core/rendezvous.ts';
import type { EngineStatus } from '../../../src/core/status.ts';
import { Broker } from '../../../src/worker/broker.ts';
import { listenOnChannel } from '../../../src/worker/channel-reception.ts';
import { FakeLocks } from '../../support/fake-locks.ts';
import { FakePage } from '../../support/fake-page.ts';
import { until } from '../../support/until.ts';

const never = new AbortController().signal;
const undo: (() => void)[] = [];
afterEach(() => {
  for (const each of undo.splice(0).toReversed()) each();
});

/** An elected worker, as far as tabs can tell; it knows by itself that it is up, or never is. */
class TestWorker extends EventTarget {
  isTerminated = false;
  readonly #locks: FakeLocks;
  readonly #lockName: string;

  constructor(locks: FakeLocks, lockName: string, starts: boolean) {
    super();
    this.#locks = locks;
    this.#lockName = lockName;
    if (!starts) return;
    void locks.locks.request(lockName, () => new Promise(() => {}));
    queueMicrotask(() => this.dispatchEvent(new MessageEvent('message', { data: { type: 'started', lockName } })));
  }

  postMessage(message: ListenMessage, [port]: readonly MessagePort[] = []): void {
    if (message.type === 'broadcast') {
      const channel = new BroadcastChannel(message.channel);
      undo.push(() => channel.close());
      void listenOnChannel({ channel, hostLock: this.#lockName, accept: () => {} });
    } else if (port !== undefined) {
      undo.push(() => port.close());
      port.onmessage = ({ ports: [link] }) => link?.close();
    }
  }

  terminate(): void {
    this.isTerminated = true;
    this.#locks.breakLock(this.#lockName);
  }
}

/** An origin with tabs of several releases, in each of the ways to elect a worker. */
class Origin {
  readonly locks = new FakeLocks();
  readonly workers: TestWorker[] = [];
  readonly #brokers = new Map<string, Broker>();
  readonly #name = crypto.randomUUID();
  readonly #links: HostLink[] = [];

  tab(way: 'elected' | 'elected-broadcast', release: number): ElectedTransport {
    const locks = this.locks.client().locks; // a page of its own
    const place = `${this.#name} ${release}`;
    const rendezvous = way === 'elected' ? new BrokerRendezvous(() => this.#startBroker(place), locks) : new BroadcastRendezvous(place);
    const startWorker = (): Worker => {
      const worker = new TestWorker(this.locks, `host of ${way} ${release}, ${this.workers.length}`, true);
      this.workers.push(worker);
      return worker as EventTarget as Worker;
    };
    const tab = new ElectedTransport(rendezvous, shareOwner(way, { locks, rendezvous, startWorker }));
    undo.push(() => tab.close());
    return tab;
  }

  async hostOf(tab: ElectedTransport): Promise<string | undefined> {
    const peer = await tab.open(never);
    this.#links.push(peer);
    peer.link.close();
    return peer.hostLock;
  }

  #startBroker(name: string): SharedWorker {
    const broker = this.#brokers.get(name) ?? new Broker(this.locks.locks, name);
    this.#brokers.set(name, broker);
    const { port1, port2 } = new MessageChannel();
    undo.push(() => port1.close());
    broker.connect(port1);
    return Object.assign(new EventTarget(), { port: port2 }) as SharedWorker;
  }
}

describe('who may own the engine', () => {
  test.each(['elected', 'elected-broadcast'] as const)('%s: tabs of two releases have a worker each, those of one share it', async (way) => {
    const origin = new Origin();
    const old = origin.tab(way, 1);
    const ofOld = await origin.hostOf(old);
    const next = origin.tab(way, 2);
    const ofNext = await origin.hostOf(next);
    expect(ofNext).not.toBe(ofOld);
    expect([await origin.hostOf(origin.tab(way, 1)), await origin.hostOf(origin.tab(way, 2))]).toEqual([ofOld, ofNext]);
    expect(origin.workers).toHaveLength(2);
    old.close(); // another tab of the old release takes over, whatever the new one does
    await until(() => origin.workers.length === 3);
    expect(origin.workers.map(({ isTerminated }) => isTerminated)).toEqual([true, false, false]);
    expect(await origin.hostOf(next)).toBe(ofNext);
  });

  test('tabs that meet in two ways keep nobody waiting', async () => {
    const origin = new Origin();
    expect(await origin.hostOf(origin.tab('elected', 1))).toMatch(/^host of elected 1/);
    expect(await origin.hostOf(origin.tab('elected-broadcast', 1))).toMatch(/^host of elected-broadcast 1/);
  });
});

describe('a worker that does not start', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
    undo.push(() => vi.useRealTimers());
  });

  /** Tabs meet the worker that was announced last, without a broker. */
  function page(startsAt: number) {
    const locks = new FakeLocks();
    const workers: TestWorker[] = [];
    let announced: (lockName: string) => void = () => {};
    const rendezvous: Rendezvous = {
      scope: async () => 'here',
      connect: (signal) => new Promise<Peer>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
        announced = (hostLock) => resolve({ link: new MessageChannel().port1, hostLock });
      }),
      announce: (_worker, hostLock) => announced(hostLock),
    };
    const startWorker = (): Worker => {
      workers.push(new TestWorker(locks, `host ${workers.length + 1}`, workers.length + 1 === startsAt));
      return workers.at(-1) as EventTarget as Worker;
    };
    const transport = new ElectedTransport(rendezvous, shareOwner('here', { locks: locks.locks, rendezvous, startWorker }));
    undo.push(() => transport.close());
    return { locks, workers, transport };
  }

  test('is ended and replaced', async () => {
    const { workers, transport } = page(2);
    const opening = transport.open(never);
    await vi.advanceTimersByTimeAsync(START_TIMEOUT_MS - 1);
    expect(workers.map(({ isTerminated }) => isTerminated)).toEqual([false]);
    await vi.advanceTimersByTimeAsync(1);
    expect(workers.map(({ isTerminated }) => isTerminated)).toEqual([true, false]);
    const { hostLock, broken } = await opening;
    expect([hostLock, broken.aborted]).toEqual(['host 2', false]);
    await vi.advanceTimersByTimeAsync(10 * START_TIMEOUT_MS);
    expect(workers).toHaveLength(2);
  });

  test('nor the next ones: the tab is told that it waits, then why it failed, and another tab may own the engine', async () => {
    const { locks, workers, transport } = page(0);
    const statuses: EngineStatus[] = [];
    const opening = ClientSession.open(transport, locks.locks, never, {
      onLog: () => {}, onStatus: (status) => statuses.push(status),
    });
    const failed = opening.catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(13_000);
    expect(statuses).toMatchObject([{ state: 'stalled', waitsFor: 'worker', message: expect.stringContaining('does not start') as string }]);
    expect(locks.held).toContain('tabserve:owner:here');
    await vi.advanceTimersByTimeAsync(START_TIMEOUT_MS * (2 ** MAX_STARTS - 1));
    expect(await failed).toMatchObject({ name: 'TabserveError', code: 'internal', message: expect.stringMatching(/did not start, in 3 tries/) as string });
    expect(workers.map(({ isTerminated }) => isTerminated)).toEqual([true, true, true]);
    expect(locks.held).toEqual([]);
    await vi.advanceTimersByTimeAsync(10 * START_TIMEOUT_MS);
    expect(workers).toHaveLength(MAX_STARTS);
  });
});

describe('two clients of one page', () => {
  let page: FakePage;
  beforeEach(() => {
    page = new FakePage();
    undo.push(() => page.close());
  });

  async function open(ownership: 'elected' | 'elected-broadcast'): Promise<Client> {
    const opening = createClient({ model: 'm.gguf', workerUrl: '/engine-worker.js', ownership, onLog: () => {} });
    await until(() => (page.origin.loader?.loads.length ?? 0) > 0);
    page.origin.loader.last.finish();
    return opening;
  }

  test.each(['elected', 'elected-broadcast'] as const)('%s: the one that came first goes, and the worker stays for the other', async (way) => {
    const [first, second] = [await open(way), await open(way)];
    await first.close();
    await first.close();
    expect(page.workers).toEqual({ started: 1, terminated: 0 });
    expect((await second.metrics()).sessions).toBe(1);
    expect(page.origin.loader.loads).toHaveLength(1);
    await second.close();
    expect(page.workers).toEqual({ started: 1, terminated: 1 });
    await until(() => !page.origin.locks.held.some((name) => name.startsWith('tabserve:owner')));
    const third = await open(way);
    expect(page.workers.started).toBe(2);
    await third.close();
  });
});
