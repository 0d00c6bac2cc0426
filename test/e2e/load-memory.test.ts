import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PART_BYTES } from '../../src/storage/cache-manifest.ts';
import { attachToWorker } from '../bench/heap-usage.mjs';
import { CHROMIUM_ARGS, findChromium } from '../support/chromium.ts';
import { PackageTab, startPackageSite, type PackageSite } from '../support/package-site.ts';
import { serveSynthetic, syntheticModel } from '../support/synthetic-model.ts';
import { tinyModel } from '../support/tiny-model.ts';

// The package in a SharedWorker, a real profile's OPFS, a model that the server makes up as it is read. 1 GB takes more
// time and memory than every run can give: `TABSERVE_LARGE_MODEL=1 npm test -- --project e2e test/e2e/load-memory.test.ts`.

const MIB = 2 ** 20;
const MAX_RISE = 64 * MIB;
/** Between one look at the heap and the next. */
const POLL_MS = 20;

const MODELS = [
  { name: '105 MB', layers: 3, bytes: 103e6 },
  ...(process.env['TABSERVE_LARGE_MODEL'] === undefined ? [] : [{ name: '1 GB', layers: 30, bytes: 1020e6 }]),
];

let site: PackageSite;
let profile: string;
let context: BrowserContext;
let browser: Browser;

beforeAll(async () => {
  site = await startPackageSite();
  profile = mkdtempSync(join(tmpdir(), 'tabserve-profile-'));
  const executablePath = findChromium();
  const options = executablePath === undefined ? {} : { executablePath };
  const port = await freePort();
  const args = [...CHROMIUM_ARGS, `--remote-debugging-port=${port}`];
  context = await chromium.launchPersistentContext(profile, { ...options, args });
  // A context with a profile has no browser, in Playwright; a second connection has.
  browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`);
});

afterAll(async () => {
  await browser?.close();
  await context?.close();
  await site?.close();
  rmSync(profile, { recursive: true, force: true });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

interface Heap {
  /** `usedSize + backingStorageSize`, garbage included. */
  bytes(): Promise<number>;
  collect(): Promise<void>;
  /** Watches how long the worker goes without taking a timer, to about 4 ms. */
  watchTurns(): Promise<void>;
  /** The longest such time since then, in milliseconds. */
  longestTurn(): Promise<number>;
}

const WATCH_TURNS = `
  globalThis.longestTurn = 0;
  clearInterval(globalThis.turnWatch);
  var lastTurn = performance.now();
  globalThis.turnWatch = setInterval(() => {
    const now = performance.now();
    longestTurn = Math.max(longestTurn, now - lastTurn);
    lastTurn = now;
  });`;

/** The engine's, by the DevTools protocol. */
async function engineHeap(): Promise<Heap> {
  const session = await browser.newBrowserCDPSession();
  const { targetInfos } = await session.send('Target.getTargets');
  const worker = targetInfos.find(({ type }) => type === 'shared_worker');
  if (worker === undefined) throw new Error('there is no SharedWorker');
  const { call } = await attachToWorker(session, worker.targetId);
  return {
    bytes: async () => {
      const { usedSize, backingStorageSize } = (await call('Runtime.getHeapUsage')) as Record<string, number>;
      return (usedSize ?? NaN) + (backingStorageSize ?? NaN);
    },
    collect: () => call('HeapProfiler.collectGarbage'),
    watchTurns: async () => void (await call('Runtime.evaluate', { expression: WATCH_TURNS })),
    longestTurn: async () => {
      const { result } = await call('Runtime.evaluate', { expression: 'longestTurn', returnByValue: true });
      return (result as { value: number }).value;
    },
  };
}

/** What the heap rises to while something goes on. */
async function peakDuring(heap: Heap, task: Promise<unknown>): Promise<{ readonly peak: number; readonly samples: number }> {
  let isDone = false;
  void task.finally(() => (isDone = true)).catch(() => {});
  let peak = 0;
  let samples = 0;
  for (; !isDone; samples++) {
    peak = Math.max(peak, await heap.bytes());
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  await task;
  return { peak, samples };
}

test.each(MODELS)('a model of $name is loaded in 64 MiB of JavaScript memory, downloaded and from storage', async ({ layers, bytes }) => {
  const file = syntheticModel(layers);
  expect(file.size).toBeGreaterThan(bytes);
  const server = await serveSynthetic(file);
  const first = await PackageTab.open(context, site);
  await first.load({ model: site.addModel('tiny.gguf', tinyModel({ type: 'Q8_0' })), kvCacheBytes: MIB });
  const heap = await engineHeap();
  const refused = first.load({ model: server.url, gpuMemoryBytes: 64 * MIB });
  await expect(refused).rejects.toThrow(/needs [\d,]+ MiB of GPU memory.*gpuMemoryBytes allows 64 MiB/);
  expect(server.bytesSent()).toBeLessThan(PART_BYTES + 1024); // the header's part, and a few bytes to see who answers
  for (const from of ['network', 'storage']) {
    const tab = await PackageTab.open(context, site);
    await heap.collect();
    const baseline = await heap.bytes();
    await heap.watchTurns();
    const started = performance.now();
    const { peak, samples } = await peakDuring(heap, tab.load({ model: server.url, kvCacheBytes: 16 * MIB }));
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const mib = (number: number): string => (number / MIB).toFixed(1);
    const heaps = `${mib(peak - baseline)} MiB over ${mib(baseline)}, ${samples} samples`;
    const turn = `longest turn ${(await heap.longestTurn()).toFixed(0)} ms`;
    console.log(`${mib(file.size)} MiB from ${from} in ${seconds} s: ${heaps}; ${turn}`);
    expect(samples).toBeGreaterThan(20);
    expect(peak - baseline).toBeLessThanOrEqual(MAX_RISE);
    expect(await tab.call<string[]>('stages')).toContain(from === 'network' ? 'download' : 'load');
    await tab.ask('a', 'Hi', { max_tokens: 2 });
    await tab.reached('a', 1);
    expect((await tab.answer('a')).error).toBeUndefined();
    await tab.call('close()');
    await tab.page.close();
    await first.load({ model: '/tiny.gguf', kvCacheBytes: MIB }); // which unloads what no session has
  }
  await first.page.close();
  await server.close();
}, 600_000);

test('a tab that is closed while its model downloads: the next one goes on with what came', async () => {
  const file = syntheticModel(3);
  const server = await serveSynthetic(file);
  const closing = await PackageTab.open(context, site);
  void closing.load({ model: server.url }).catch(() => {}); // nobody is left to hear of it
  await expect.poll(() => server.bytesSent(), { interval: 5, timeout: 30_000 }).toBeGreaterThan(5 * PART_BYTES);
  await closing.page.close();
  const sentSoon = async (): Promise<number> => {
    const before = server.bytesSent();
    await new Promise((resolve) => setTimeout(resolve, 500));
    return server.bytesSent() - before;
  };
  await expect.poll(sentSoon, { timeout: 30_000 }).toBe(0);
  const sentBefore = server.bytesSent();
  expect(sentBefore).toBeLessThan(file.size - 2 * PART_BYTES);
  const next = await PackageTab.open(context, site);
  await next.load({ model: server.url, kvCacheBytes: 16 * MIB });
  // Of what was on its way when the tab went, one part or two are lost; and some bytes are asked for to see who answers.
  expect(server.bytesSent()).toBeLessThan(file.size + 2 * PART_BYTES + 4096);
  await next.page.close();
  await server.close();
});
