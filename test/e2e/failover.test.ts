import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Browser, BrowserContext } from 'playwright';
import { LIGHT_ARGS } from '../support/chromium.ts';
import { endlessModel, launchChromium } from '../support/demo-site.ts';
import { PackageTab, startPackageSite, type PackageSite } from '../support/package-site.ts';

// Real tabs, the package as it is published, a tiny model on a real (software) adapter. Without these flags Chromium
// offers an origin no adapter for minutes after a second crash.
const CRASHABLE = [...LIGHT_ARGS, '--disable-domain-blocking-for-3d-apis', '--disable-gpu-process-crash-limit'];

let site: PackageSite;
let browser: Browser;
let context: BrowserContext;
let model: string;
/** What each prompt's answer is when nothing goes wrong, one after the other. */
let alone: readonly string[];

/** Of an answer. */
const TOKENS = 150;
const MOST_TABS = 8;

beforeAll(async () => {
  site = await startPackageSite(2);
  model = site.addModel('tiny.gguf', endlessModel());
  browser = await launchChromium(CRASHABLE);
  context = await browser.newContext();
  const [tab] = (await openTabs(1)) as [PackageTab];
  const texts: string[] = [];
  for (let i = 0; i < MOST_TABS; i++) {
    await tab.ask(`alone ${i}`, promptOf(i), { ...bodyOf(i), tabserve: { cache_salt: `alone ${i}` } });
    texts.push(await tab.answered(`alone ${i}`));
  }
  expect(new Set(texts).size).toBe(MOST_TABS);
  alone = texts;
  await context.close();
});

afterAll(async () => {
  await browser?.close();
  await site?.close();
});

beforeEach(async () => {
  context = await browser.newContext();
  site.log.length = 0;
});

afterEach(() => context.close());

async function openTabs(count: number, options: Readonly<Record<string, unknown>> = {}): Promise<PackageTab[]> {
  const tabs: PackageTab[] = [];
  for (let i = 0; i < count; i++) {
    const tab = await PackageTab.open(context, site);
    await tab.load({ model, ...options });
    tabs.push(tab);
  }
  return tabs;
}

async function crashGpuProcess(crashed: Browser): Promise<void> {
  const session = await crashed.newBrowserCDPSession();
  await session.send('Browser.crashGpuProcess');
  await session.detach();
}

const RECOVERED = `tab.statuses.filter((s) => s.state === 'ready').length`;
const BLOCKED = `tab.statuses.some((s) => s.cause?.code === 'webgpu_unavailable' && s.retryInMs > 0)`;

/**
 * Once the answer is under way, the crash; and what became of it, whichever comes first. Without waiting for that, tokens
 * that were in flight reach the next crash's mark, and it hits a process that is down already: one crash, not two.
 */
async function crashAt(crashed: Browser, tab: PackageTab, tokens: number): Promise<void> {
  await tab.reached('a', tokens);
  const recovered = await tab.page.evaluate<number>(RECOVERED);
  await crashGpuProcess(crashed);
  await tab.page.waitForFunction(`${RECOVERED} > ${recovered} || ${BLOCKED}`, null, { timeout: 120_000, polling: 20 });
}

const promptOf = (i: number): string => `Question number ${i}: what did the people say?`;
/** Half greedy, half drawn. */
const bodyOf = (i: number) => ({ max_tokens: TOKENS, temperature: i % 2, seed: 100 + i });

const askAll = (tabs: readonly PackageTab[]): Promise<unknown> =>
  Promise.all(tabs.map((tab, i) => tab.ask('a', promptOf(i), bodyOf(i))));
const answersOf = (tabs: readonly PackageTab[]): Promise<string[]> => Promise.all(tabs.map((tab) => tab.answered('a')));

describe('the GPU process', () => {
  test('crashes three times under eight streams: each is what it is alone', async () => {
    const tabs = await openTabs(MOST_TABS);
    const [first] = tabs as [PackageTab];
    await askAll(tabs);
    for (const reached of [20, 60, 100]) await crashAt(browser, first, reached);
    expect(await answersOf(tabs)).toEqual(alone);
    const statuses = await first.call<{ state: string }[]>('statuses');
    expect(statuses.filter(({ state }) => state === 'ready')).toHaveLength(3);
    expect(site.log.filter((path) => path.endsWith('.gguf')).length).toBeLessThan(10); // weights came from the cache
  });

  test('that the browser blocks after its crashes: streams stay open, and a status says so', async ({ skip }) => {
    const blocking = await launchChromium();
    try {
      const own = await blocking.newContext();
      const tab = await PackageTab.open(own, site);
      await tab.load({ model });
      await tab.ask('a', promptOf(0), { max_tokens: 1500 });
      for (const reached of [10, 30]) await crashAt(blocking, tab, reached);
      if (!(await tab.page.evaluate<boolean>(BLOCKED))) return skip('this browser blocks nothing after two crashes');
      const { error, isDone, tokens } = await tab.answer('a');
      expect({ error, isDone }).toEqual({ error: undefined, isDone: false });
      expect(tokens).toBeGreaterThanOrEqual(30);
      expect((await tab.call<{ state: string }>('metrics()')).state).toBe('recovering');
      return undefined;
    } finally {
      await blocking.close();
    }
  });
});

describe.each(['shared-worker', 'elected', 'elected-broadcast'])('the engine in: %s', (ownership) => {
  test.each(['is closed', 'crashes'])('the tab that started it %s: the others\u2019 streams go on', async (how) => {
    const tabs = await openTabs(3, { ownership });
    const [owner, ...others] = tabs as [PackageTab, PackageTab, PackageTab];
    await askAll(tabs);
    await others[0]?.reached('a', 25);
    if (how === 'is closed') {
      await owner.page.close();
    } else {
      // The answer never comes from a page that is no more.
      const session = await context.newCDPSession(owner.page);
      void session.send('Page.crash').catch(() => {});
    }
    expect(await answersOf(others)).toEqual(alone.slice(1, 3));
    const last = others[0] as PackageTab;
    expect(await last.call('metrics()')).toMatchObject({ sessions: 2, requestsRunning: 0, kvBlocksUsed: 0 });
  });
});

test('a tab that cannot read for seconds stops nobody, and has its whole answer afterwards', async () => {
  const [slow, other] = (await openTabs(2)) as [PackageTab, PackageTab];
  await slow.ask('a', promptOf(0), bodyOf(0));
  await slow.reached('a', 5);
  const blocked = slow.page.evaluate(() => {
    const end = performance.now() + 4000;
    while (performance.now() < end);
    return 'blocked';
  });
  await other.ask('a', promptOf(0), bodyOf(0));
  expect(await Promise.race([other.reached('a', 5).then(() => 'answering'), blocked])).toBe('answering');
  expect(await other.answered('a')).toBe(alone[0]);
  await blocked;
  expect(await slow.answered('a')).toBe(alone[0]);
});

test('two releases of a page: one has the GPU at a time, and both answer', async () => {
  const [old] = (await openTabs(1)) as [PackageTab];
  const next = await PackageTab.open(context, site, 2); // before: opening a page may take as long as an answer
  await old.ask('a', promptOf(0), bodyOf(0));
  await old.reached('a', 10);
  await next.load({ model });
  expect((await next.call<string[]>('stages'))[0]).toBe('wait');
  expect(await old.answered('a')).toBe(alone[0]);
  expect((await old.call<{ state: string }>('metrics()')).state).toBe('parked');
  await next.ask('a', promptOf(0), bodyOf(0));
  expect(await next.answered('a')).toBe(alone[0]);
  await old.ask('b', promptOf(0), bodyOf(0));
  expect(await old.answered('b')).toBe(alone[0]);
  expect((await next.call<{ state: string }>('metrics()')).state).toBe('parked');
});

test('a reload finds the engine warm', async ({ skip }) => {
  const [tab] = (await openTabs(1)) as [PackageTab];
  const canOutlive = await tab.page.evaluate(() => {
    let isRead = false;
    new SharedWorker('/comlink.js', {
      get extendedLifetime() {
        isRead = true;
        return false;
      },
    });
    return isRead;
  });
  if (!canOutlive) return skip('a SharedWorker dies with its last tab in this browser');
  await tab.ask('a', promptOf(0), { max_tokens: 20 });
  const text = await tab.answered('a');
  const before = (await tab.call<{ generationTokens: number }>('metrics()')).generationTokens;
  await tab.page.reload();
  await tab.page.waitForFunction('globalThis.tab !== undefined');
  await tab.load({ model });
  expect(await tab.call<string[]>('stages')).toEqual(['ready']);
  expect((await tab.call<{ generationTokens: number }>('metrics()')).generationTokens).toBe(before);
  await tab.ask('a', promptOf(0), { max_tokens: 20 });
  expect(await tab.answered('a')).toBe(text);
  return undefined;
});
