import { vi } from 'vitest';
import { BROKER_NAME } from '../../src/core/rendezvous.ts';
import type { FromBroker, ListenMessage, StartedMessage, ToBroker } from '../../src/core/rendezvous.ts';
import { listenOnChannel } from '../../src/worker/channel-reception.ts';
import { FakeOrigin } from './fake-origin.ts';

/** The worker's and the broker's; tests may break the page's own. */
const { BroadcastChannel, MessageChannel } = globalThis;

/**
 * A page's globals in Node, over the engine of a {@link FakeOrigin}: what `createClient` finds in a browser, in each of
 * its ways to the engine. Undone by `close`.
 */
export class FakePage {
  readonly origin = new FakeOrigin();
  /** Dedicated ones. */
  readonly workers = { started: 0, terminated: 0 };
  readonly #channels: { close(): void }[] = [];

  constructor() {
    const { origin, workers } = this;
    const open = (channel: MessagePort | BroadcastChannel): void => void this.#channels.push(channel);
    vi.stubGlobal('document', { baseURI: 'https://app.test/page' });
    vi.stubGlobal('location', { origin: 'https://app.test', href: 'https://app.test/page' });
    vi.stubGlobal('isSecureContext', true);
    vi.stubGlobal('origin', 'https://app.test');
    vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => ({}) }, locks: origin.locks.locks });
    vi.stubGlobal('SharedWorker', class extends EventTarget {
      readonly port: MessagePort;
      constructor(_url: URL, { name = '' }: WorkerOptions) {
        super();
        this.port = name.startsWith(BROKER_NAME) ? openBroker(origin, open) : origin.openLink();
      }
    });
    vi.stubGlobal('Worker', class extends EventTarget {
      constructor() {
        super();
        workers.started++;
        origin.openLink().close(); // it is up
        const started: StartedMessage = { type: 'started', lockName: origin.hostLock };
        queueMicrotask(() => this.dispatchEvent(new MessageEvent('message', { data: started })));
      }
      postMessage(message: ListenMessage, ports: readonly MessagePort[] = []): void {
        if (message.type === 'broadcast') {
          const channel = new BroadcastChannel(message.channel);
          open(channel);
          listenOnChannel({ channel, hostLock: origin.hostLock, accept: (link) => origin.answer(link) }).catch(() => {});
        }
        for (const port of ports) port.close(); // the broker here gives links to the engine by itself
      }
      terminate(): void {
        workers.terminated++;
      }
    });
  }

  close(): void {
    for (const channel of this.#channels) channel.close();
    this.origin.close();
    vi.unstubAllGlobals();
  }
}

/** A broker that gives the ends of links to the engine itself. @returns the tab's end */
function openBroker(origin: FakeOrigin, open: (channel: MessagePort) => void): MessagePort {
  const { port1, port2 } = new MessageChannel();
  open(port1);
  port1.onmessage = (event: MessageEvent<ToBroker>) => {
    const { data, ports: [end] } = event as MessageEvent<ToBroker> & { ports: readonly MessagePort[] };
    if (data.type !== 'connect' || end === undefined) return end?.close();
    origin.answer(end);
    port1.postMessage({ type: 'forwarded', id: data.id, lockName: origin.hostLock } satisfies FromBroker);
  };
  const lockName = 'broker';
  void origin.locks.locks.request(lockName, () => new Promise(() => {}));
  port1.postMessage({ type: 'hello', lockName, scope: 'broker' } satisfies FromBroker);
  return port2;
}
