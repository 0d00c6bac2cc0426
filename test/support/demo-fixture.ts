import type { Browser, BrowserContext } from 'playwright';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { demoBuild, DemoTab, launchChromium, startDemoSite, TINY_PATH, type DemoSite } from './demo-site.ts';

const VIEWPORT = { width: 1280, height: 800 };

/** The demo's site and a browser for a test file, and a context for each of its tests. */
export interface DemoFixture {
  readonly distDir: string;
  readonly site: DemoSite;
  readonly browser: Browser;
  /** It has a storage, a SharedWorker and an engine of its own. */
  readonly context: BrowserContext;
  /** A tab with the tiny model loaded, whose answers are greedy. */
  openTiny(): Promise<DemoTab>;
  /** Likewise, in a context that all tests of the file share, whose engine has the model already. */
  openWarm(): Promise<DemoTab>;
}

/** Registers the hooks that set it up; its fields can be read while a test runs. @param reason why there is no default model */
export function useDemo(reason = 'none is needed'): DemoFixture {
  let distDir: string;
  let site: DemoSite;
  let browser: Browser;
  let context: BrowserContext;
  let warm: { readonly context: BrowserContext; readonly keeper: DemoTab } | undefined;
  const open = async (where: BrowserContext): Promise<DemoTab> => {
    const tab = await DemoTab.open(where, `${site.url}/?model=${TINY_PATH}&temperature=0`);
    await tab.ready();
    return tab;
  };
  beforeAll(async () => {
    distDir = await demoBuild();
    site = await startDemoSite(distDir, { available: false, reason });
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });
  beforeEach(async () => {
    context = await browser.newContext({ viewport: VIEWPORT });
    site.log.length = 0;
  });
  afterEach(async () => {
    await context.close();
    for (const page of warm?.context.pages() ?? []) if (page !== warm?.keeper.page) await page.close();
  });
  return {
    get distDir() { return distDir; },
    get site() { return site; },
    get browser() { return browser; },
    get context() { return context; },
    openTiny: () => open(context),
    openWarm: async () => {
      if (warm === undefined) {
        const shared = await browser.newContext({ viewport: VIEWPORT });
        warm = { context: shared, keeper: await open(shared) };
      }
      return open(warm.context);
    },
  };
}
