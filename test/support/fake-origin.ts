import { expose } from 'comlink';
import { Client } from '../../src/client/client.ts';
import { ClientSession } from '../../src/client/session.ts';
import type { Transport } from '../../src/client/transport.ts';
import type { Link } from '../../src/core/link.ts';
import { hostLockName } from '../../src/core/protocol.ts';
import { registerErrorTransfer } from '../../src/core/transfer-errors.ts';
import type { ModelManager } from '../../src/worker/model-manager.ts';
import { Session } from '../../src/worker/session.ts';
import { FakeLocks } from './fake-locks.ts';
import { type FakeEngine, FakeLoader } from './fake-model.ts';
import { openManager } from './tab.ts';
import { until } from './until.ts';

const never = new AbortController().signal;

/** Tests may break the page's own. */
const { MessageChannel } = globalThis;

/**
 * An origin's worker and its tabs in one process; between them, real message ports and the real Comlink. The worker can
 * be killed; the next link that is opened starts another, which has a loader of its own.
 */
export class FakeOrigin {
  readonly locks = new FakeLocks();
  /** How many workers there have been. */
  workers = 0;
  manager!: ModelManager;
  loader!: FakeLoader;
  /** Called when a tab has all kept prefixes deleted. */
  onDeletePrefixes = (): void => {};
  readonly #ports: { close(): void }[] = [];
  #isAlive = false;

  constructor() {
    registerErrorTransfer();
  }

  /** The lock of the worker that lives, or has died last. */
  get hostLock(): string {
    return hostLockName(`worker ${this.workers}`);
  }

  /** How every tab reaches it. */
  get transport(): Transport {
    return { open: async () => ({ link: this.openLink(), hostLock: undefined, broken: never }), close: () => {} };
  }

  /** A session of a new tab's. */
  connect(): Promise<ClientSession> {
    return ClientSession.open(this.transport, this.locks.locks, never);
  }

  /** A new tab's client, whose model has been loaded, and that model's engine. */
  async openClient(): Promise<{ readonly client: Client; readonly engine: FakeEngine }> {
    const session = await this.connect();
    const loading = session.load({ source: 'm' }, () => {});
    await until(() => this.loader.loads.length > 0);
    this.loader.last.finish();
    return { client: new Client(session, await loading, ['m']), engine: this.loader.last.engine };
  }

  openLink(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#ports.push(port2);
    this.answer(port1);
    port2.start();
    return port2;
  }

  /** The worker, started if need be, takes in its end of a link. */
  answer(link: Link): void {
    if (!this.#isAlive) this.#start();
    this.#ports.push(link);
    const hello = { lockName: this.hostLock, hasWebGpu: true };
    const session = new Session({ manager: this.manager, locks: this.locks.locks, link, hello, die: () => this.kill() });
    expose(session, link);
  }

  /** The worker dies: its ports fall silent, and its lock is released. */
  kill(): void {
    this.#isAlive = false;
    for (const port of this.#ports.splice(0)) port.close();
    this.locks.breakLock(this.hostLock);
    this.locks.breakLock('tabserve:gpu');
  }

  /** For the end of a test. */
  close(): void {
    for (const port of this.#ports.splice(0)) port.close();
  }

  #start(): void {
    this.workers++;
    this.#isAlive = true;
    this.loader = new FakeLoader();
    this.manager = openManager({
      prefixes: { deleteAll: async () => this.onDeletePrefixes() },
      loadModel: this.loader.loadModel, locks: this.locks.locks, clock: () => performance.now(),
    });
    void this.locks.locks.request(this.hostLock, () => new Promise(() => {}));
  }
}
