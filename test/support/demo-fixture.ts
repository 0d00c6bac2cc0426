import type { Browser, BrowserContext } from 'playwright';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { buildDemoOnce, DemoTab, launchChromium, startDemoSite, TINY_PATH, type DemoSite } from './demo-site.ts';

/** The demo's site and a browser for a test file, and a context for each of its tests. */
export interface DemoFixture {
  readonly distDir: string;
  readonly site: DemoSite;
  readonly browser: Browser;
  /** It has a storage, a SharedWorker and an engine of its own. */
  readonly context: BrowserContext;
  /** A tab with the tiny model loaded. */
  openTiny(): Promise<DemoTab>;
}

/** Registers the hooks that set it up; its fields can be read while a test runs. @param reason why there is no default model */
export function useDemo(reason = 'none is needed'): DemoFixture {
  let dist: Awaited<ReturnType<typeof buildDemoOnce>>;
  let site: DemoSite;
  let browser: Browser;
  let context: BrowserContext;
  beforeAll(async () => {
    dist = await buildDemoOnce();
    site = await startDemoSite(dist.distDir, { available: false, reason });
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    dist?.remove();
  });
  beforeEach(async () => {
    context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    site.log.length = 0;
  });
  afterEach(() => context.close());
  return {
    get distDir() { return dist.distDir; },
    get site() { return site; },
    get browser() { return browser; },
    get context() { return context; },
    openTiny: async () => {
      const tab = await DemoTab.open(context, `${site.url}/?model=${TINY_PATH}`);
      await tab.ready();
      return tab;
    },
  };
}
