import { expect, test } from 'vitest';
import { isManifest } from '../../../src/storage/cache-manifest.ts';
import { removeModel, sweepModels } from '../../../src/storage/model-storage.ts';
import { openSource } from '../../../src/download/open-source.ts';
import { folderName } from '../../../src/storage/part-storage.ts';
import { sha256 } from '../../../src/storage/sha256.ts';
import type { LockClient } from '../../support/fake-locks.ts';
import { createRandom, type Random } from '../../support/random.ts';
import type { SimulatedOrigin } from '../../support/simulation/origin.ts';
import { gatedFetch, gatedStorage } from '../../support/simulation/platform.ts';
import type { World } from '../../support/simulation/world.ts';
import { firstDifference, seededFile } from '../download/seeded-bytes.ts';
import { count, propertyParameters, type Seen } from '../scheduler/scenario.ts';
import { inWorld } from './scenario.ts';

// Files of a hub that workers load, tabs delete and starting workers sweep, all at once and at any moment.
// `TABSERVE_PROPERTY_RUNS=2000` tries every moment several times.

const { numRuns, seed } = propertyParameters(20);
const PART = 1000;
const SIZE = 5 * PART + 99;
/** More things than happen to a load. */
const MOMENTS = 90;
const COMMITS = ['a'.repeat(40), 'b'.repeat(40)] as const;
const CONTENTS = [seededFile(SIZE, 1), seededFile(SIZE, 2)] as const;
const fileAt = (commit: string): string => `https://huggingface.co/o/r/resolve/${commit}/m.gguf`;
const URLS = COMMITS.map(fileAt);
const seen: Seen = new Map();

/** Something under way, and who does it. */
interface Doing {
  readonly client: LockClient;
  readonly done: Promise<unknown>;
}

/** A hub whose file is at one of two commits. */
class Hub {
  newest = 0;
  readonly #oids: readonly string[];

  constructor(oids: readonly string[]) {
    this.#oids = oids;
  }

  fetch(gate: (label: string) => Promise<void>): typeof fetch {
    const stored = new Map(URLS.map((url, i) => [url, CONTENTS[i] ?? new Uint8Array()]));
    const files = gatedFetch({ files: stored, isOffline: false }, gate);
    return async (input, init) => {
      if (!(input instanceof Request ? input.url : input.toString()).includes('/paths-info/')) return files(input, init);
      const now = this.newest;
      await gate('hub');
      const lfs = { oid: this.#oids[now], size: SIZE, pointerSize: 134 };
      return Response.json([{ type: 'file', path: 'm.gguf', oid: '0'.repeat(40), size: SIZE, lfs, lastCommit: { id: COMMITS[now] } }]);
    };
  }
}

/** What a browser's user has open: workers that load, tabs that delete. Each may end at any moment. */
class Scene {
  readonly #world: World;
  readonly #origin: SimulatedOrigin;
  readonly #hub: Hub;
  readonly #alive = new Set<LockClient>();
  readonly #ended = new Map<LockClient, () => void>();

  constructor(world: World, origin: SimulatedOrigin, hub: Hub) {
    this.#world = world;
    this.#origin = origin;
    this.#hub = hub;
  }

  /** A worker or tab, with what it sees of the platform; its gates do not open any more once it has ended. */
  #open() {
    const client = this.#origin.locks.client();
    this.#alive.add(client);
    const gate = async (label: string): Promise<void> => {
      await this.#world.gate(label);
      if (!this.#alive.has(client)) await new Promise(() => {});
    };
    return { client, gate, storage: gatedStorage(this.#origin.storage, gate, client.locks) };
  }

  /** Loads the file from front to back. Settles to which of both contents it has read. */
  load(isWanted = true): Doing {
    const { client, gate, storage } = this.#open();
    const loading = async (): Promise<number> => {
      let want = (): void => {};
      const wanted = new Promise<void>((resolve) => (want = resolve));
      const source = await openSource('hf:o/r/m.gguf', {
        baseUrl: 'https://app.test/', onProgress: () => {}, log: () => {}, storage, locks: client.locks, partBytes: PART,
        http: { fetch: this.#hub.fetch(gate) }, wanted,
      });
      const all = new Uint8Array(source.size);
      for (let at = 0; at < SIZE; at += 700) {
        if (at > PART && isWanted) want();
        all.set(await source.read(at, Math.min(700, SIZE - at)), at);
      }
      return CONTENTS.findIndex((content) => firstDifference(content, all) === -1);
    };
    const done = loading();
    done.catch(() => {}); // nobody may be left to hear of it
    return { client, done };
  }

  delete(url: string): Doing {
    const { client, storage } = this.#open();
    if (this.#origin.storage.manifests.has(url)) count(seen, 'deleted while it was stored');
    return { client, done: removeModel(url, storage) };
  }

  sweep(): Doing {
    const { client, storage } = this.#open();
    return { client, done: sweepModels(storage) };
  }

  end(client: LockClient | undefined): undefined {
    if (client === undefined) return;
    this.#alive.delete(client);
    client.end();
    this.#ended.get(client)?.();
  }

  /** What something under way comes to, or that it has been ended. */
  unlessEnded({ client, done }: Doing): Promise<unknown> {
    if (!this.#alive.has(client)) return Promise.resolve('ended');
    const ended = new Promise<string>((resolve) => this.#ended.set(client, () => resolve('ended')));
    return Promise.race([done, ended]);
  }
}

/** What must hold of a storage in which nothing is under way. */
async function check({ storage }: SimulatedOrigin): Promise<void> {
  for (const [url, manifest] of storage.manifests) {
    expect(isManifest(manifest), `the manifest of ${url}, ${JSON.stringify(manifest)}`).toBe(true);
    for (const [index, hash] of manifest.parts.entries()) {
      const part = storage.parts.get(`${url}#${index}`);
      if (hash !== null) expect(part === undefined ? 'no file' : await sha256(part), `part ${index} of ${url}`).toBe(hash);
    }
  }
  const folders = await Promise.all([...storage.manifests.keys()].map(folderName));
  for (const folder of await storage.listFolders()) expect(folders).toContain(folder);
}

/** What has happened before: nothing, a load that was cut short, one or two visits, of which the second found a new version. */
async function past(world: World, scene: Scene, hub: Hub, random: Random): Promise<void> {
  const visits = random.below(4);
  if (visits === 1) {
    const { client } = scene.load();
    await world.pass(random.below(MOMENTS));
    scene.end(client);
  }
  for (let visit = 2; visit <= visits; visit++) await world.settle(scene.load().done, 'a visit before');
  hub.newest = random.below(2);
  count(seen, `visits before: ${visits}`);
}

test('models are deleted at any moment of loads, by several tabs: each load reads its file, and nothing is claimed that is not there', async () => {
  for (let run = 0; run < numRuns; run++) {
    await inWorld(seed + run, async (world, origin) => {
      const random = createRandom(seed + run);
      const oids = await world.settle(Promise.all(CONTENTS.map((content) => sha256(content))), 'hashes');
      const hub = new Hub(oids);
      const scene = new Scene(world, origin, hub);
      await past(world, scene, hub, random);
      const loads: Doing[] = [scene.load(), ...(random.below(2) === 0 ? [scene.load(random.below(3) > 0)] : [])];
      const doings = [...loads];
      let isOver = false;
      const soon = (what: string, act: () => Doing | undefined): void => {
        world.after(random.below(MOMENTS), () => {
          if (isOver) return;
          const doing = act();
          count(seen, what);
          if (doing !== undefined) doings.push(doing);
        });
      };
      for (let i = 0; i < 1 + random.below(3); i++) soon('deleted', () => scene.delete(URLS[random.below(2)] ?? ''));
      if (random.below(2) === 0) soon('swept', () => scene.sweep());
      if (random.below(3) === 0) soon('a new version', () => void (hub.newest = 1));
      if (random.below(3) === 0) soon('ended', () => scene.end(doings[random.below(doings.length)]?.client));
      for (const load of loads) {
        const read = await world.settle(scene.unlessEnded(load), 'a load');
        expect(read).toBeOneOf([0, 1, 'ended']);
      }
      await world.pass(MOMENTS);
      isOver = true;
      for (const doing of doings) await world.settle(scene.unlessEnded(doing), 'a deletion');
      await world.settle(scene.sweep().done, 'the start of the next worker');
      await world.settle(check(origin), 'looking');
      const read = (await world.settle(scene.load().done, 'the next load')) as number;
      await world.settle(check(origin), 'looking again');
      const manifest = origin.storage.manifests.get(URLS[read] ?? '');
      expect([manifest?.isVerified, manifest?.parts.includes(null)]).toEqual([true, false]);
    }).catch((cause: unknown) => {
      throw new Error(`run ${run} of seed ${seed}`, { cause });
    });
  }
});

/** More things than happen to one load. */
const EVERY = 60;

test('what is stored vanishes at each moment of a load, all at once: nothing is taken for verified that is not here', async () => {
  let wasThere = 0;
  for (let moment = 0; moment < EVERY; moment++) {
    await inWorld(seed + moment, async (world, origin) => {
      const hub = new Hub([await world.settle(sha256(CONTENTS[0]), 'a hash'), '']);
      const scene = new Scene(world, origin, hub);
      world.after(moment, () => {
        if (origin.storage.manifests.size > 0) wasThere++;
        origin.storage.manifests.clear();
        origin.storage.parts.clear();
      });
      for (const what of ['the load', 'the next one']) {
        expect(await world.settle(scene.load().done, what)).toBe(0);
        for (const manifest of origin.storage.manifests.values()) expect(manifest).toSatisfy(isManifest);
      }
    }).catch((cause: unknown) => {
      throw new Error(`after ${moment} things, seed ${seed}`, { cause });
    });
  }
  expect(wasThere).toBeGreaterThan(10);
});

test('the runs come across what they are there for', () => {
  const whats = ['deleted', 'swept', 'a new version', 'ended', 'deleted while it was stored', ...[0, 1, 2, 3].map((visits) => `visits before: ${visits}`)];
  for (const what of whats) expect(seen.get(what), what).toBeGreaterThan(0);
});
