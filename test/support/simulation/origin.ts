import { expose } from 'comlink';
import type { Client, LogLine } from '../../../src/client/client.ts';
import { ClientSession } from '../../../src/client/session.ts';
import { type ClientOptions, createClientOn } from '../../../src/client/create-client.ts';
import type { Transport } from '../../../src/client/transport.ts';
import { holdLock } from '../../../src/core/locks.ts';
import { type LoadSettings } from '../../../src/core/load-settings.ts';
import { hostLockName } from '../../../src/core/protocol.ts';
import { registerErrorTransfer } from '../../../src/core/transfer-errors.ts';
import type { CacheManifest } from '../../../src/storage/cache-manifest.ts';
import { removeModel } from '../../../src/storage/model-storage.ts';
import type { PrefixManifest } from '../../../src/storage/prefix-manifest.ts';
import { GPU_LOCK } from '../../../src/worker/gpu-lease.ts';
import { KeptPrefixes } from '../../../src/worker/keep-prefixes.ts';
import { createModelLoader } from '../../../src/worker/load-model.ts';
import { ModelManager } from '../../../src/worker/model-manager.ts';
import { Session } from '../../../src/worker/session.ts';
import { memoryStorage, type MemoryStorage } from '../../unit/storage/memory-storage.ts';
import { FakeChannels } from '../fake-channels.ts';
import { FakeLocks, type LockClient } from '../fake-locks.ts';
import { tinyModel } from '../tiny-model.ts';
import { SimulatedGpu } from './gpu.ts';
import { SimulatedPort } from './link.ts';
import { gatedFetch, gatedStorage, type Server, stubGlobals } from './platform.ts';
import type { World } from './world.ts';

const never = (): AbortSignal => new AbortController().signal;
/** Several parts of a model. */
const PART_BYTES = 64 * 1024;

const BYTES = tinyModel({ type: 'Q8_0', numLayers: 1, hiddenSize: 64, intermediateSize: 64, numHeads: 1, headSize: 64 });

/** The models that the origin's server has. */
export const MODELS = ['m', 'x', 'y'] as const;
export type ModelName = (typeof MODELS)[number];
const urlOf = (model: ModelName): string => `https://app.test/${model}.gguf`;

/** A worker with the real host and the real loader in it, over a simulated platform. */
export class SimulatedWorker {
  readonly locks: LockClient;
  readonly manager: ModelManager;
  readonly lockName = hostLockName(crypto.randomUUID());
  readonly #origin: SimulatedOrigin;
  readonly #ports: SimulatedPort[] = [];
  readonly #isUp: Promise<unknown>;
  #isDead = false;

  constructor(origin: SimulatedOrigin) {
    this.#origin = origin;
    this.locks = origin.locks.client();
    const gate = async (label: string): Promise<void> => {
      await origin.world.gate(label);
      if (this.#isDead) await new Promise(() => {});
    };
    const prefixes = new KeptPrefixes(() => gatedStorage(origin.prefixes, gate, this.locks.locks));
    const loadModel = createModelLoader({
      loadRunner: origin.gpu.loaderFor(this, gate),
      baseUrl: 'https://app.test/',
      open: {
        storage: gatedStorage(origin.storage, gate, this.locks.locks), locks: this.locks.locks, partBytes: PART_BYTES,
        http: { fetch: gatedFetch(origin.server, gate) },
      },
      prefixes,
      tuningStorage: () => undefined,
    });
    const { locks } = this.locks;
    const gpuChannel = origin.channels.open();
    this.manager = new ModelManager({ loadModel, prefixes, locks, gpuChannel, clock: () => performance.now() });
    this.#isUp = holdLock(this.locks.locks, this.lockName);
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** Takes in a link; returns the tab's end. */
  open(): SimulatedPort {
    const { world } = this.#origin;
    const [tab, worker] = SimulatedPort.pair((label) => world.gate(label));
    this.#ports.push(worker);
    const hello = { lockName: this.lockName, hasWebGpu: true };
    const session = new Session({ manager: this.manager, locks: this.locks.locks, link: worker, hello, die: () => this.die() });
    void this.#isUp.then(() => expose(session, worker));
    return tab;
  }

  /** The browser ends it: its links fall silent, its locks and its devices are free. */
  die(): void {
    this.#isDead = true;
    for (const port of this.#ports) port.close();
    this.#origin.gpu.end(this);
    this.locks.end();
  }
}

export interface TabOptions {
  /** Of the page; each has a worker of its own. @default 1 */
  readonly release?: number;
  readonly settings?: LoadSettings;
}

/** A tab: a client, or one to be. */
export class SimulatedTab {
  readonly #origin: SimulatedOrigin;
  readonly #locks: LockClient;
  readonly #ports: SimulatedPort[] = [];
  readonly #release: number | undefined;
  readonly #settings: LoadSettings;
  #isGone = false;

  constructor(origin: SimulatedOrigin, { release, settings = {} }: TabOptions = {}) {
    this.#origin = origin;
    this.#release = release;
    this.#settings = settings;
    this.#locks = origin.locks.client();
  }

  /** `createClient`, as it is but for what it starts. Never settles once the tab is gone. */
  async createClient(model: ModelName, options: Partial<ClientOptions> = {}): Promise<Client> {
    const giveUp = options.signal ?? never();
    const transport: Transport = {
      open: async () => {
        const link = this.#origin.worker(this.#release).open();
        this.#ports.push(link);
        if (this.#isGone) link.close();
        return { link, hostLock: undefined, broken: never() };
      },
      close: () => {},
    };
    const onLog = ({ message }: LogLine): void => void this.#origin.log.push(message);
    const all = { model: urlOf(model), onLog, ...this.#settings, ...options };
    const connection = await ClientSession.open(transport, this.#locks.locks, giveUp, all);
    return createClientOn(connection, all);
  }

  /** It is closed, or navigates: it says nothing. */
  close(): void {
    this.#isGone = true;
    for (const port of this.#ports) port.close();
    this.#locks.end();
  }
}

/** An origin of a simulated browser. */
export class SimulatedOrigin {
  readonly world: World;
  readonly locks: FakeLocks;
  readonly channels: FakeChannels;
  readonly gpu = new SimulatedGpu((worker) => this.locks.holders(GPU_LOCK).includes((worker as SimulatedWorker).locks));
  readonly storage: MemoryStorage<CacheManifest> = memoryStorage();
  readonly prefixes: MemoryStorage<PrefixManifest> = memoryStorage();
  /** The engine's log, as tabs receive it. */
  readonly log: string[] = [];
  readonly server: Server = { files: new Map(MODELS.map((model) => [urlOf(model), BYTES])), isOffline: false };
  /** By the release of the page that they belong to. */
  readonly #workers = new Map<number, SimulatedWorker>();

  constructor(world: World) {
    registerErrorTransfer();
    this.world = world;
    const gate = (label: string): Promise<void> => world.gate(label);
    this.locks = new FakeLocks((name) => gate(`lock ${name}`));
    this.channels = new FakeChannels((run) => void gate('broadcast').then(run));
    stubGlobals(gate);
    world.onStep = () => this.gpu.check();
  }

  /** The worker of a release of the page, started where there is none. */
  worker(release = 1): SimulatedWorker {
    const known = this.#workers.get(release);
    if (known !== undefined && !known.isDead) return known;
    const worker = new SimulatedWorker(this);
    this.#workers.set(release, worker);
    return worker;
  }

  /** Those that live. */
  get workers(): readonly SimulatedWorker[] {
    return [...this.#workers.values()].filter(({ isDead }) => !isDead);
  }

  openTab(options?: TabOptions): SimulatedTab {
    return new SimulatedTab(this, options);
  }

  /** The user deletes what is stored of a model. */
  async deleteModel(model: ModelName): Promise<void> {
    const gate = (label: string): Promise<void> => this.world.gate(label);
    await gate('deleted');
    await removeModel(urlOf(model), gatedStorage(this.storage, gate, this.locks.client().locks));
  }
}
