import { mkdtempSync, rmSync } from 'node:fs';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext } from 'playwright';
import { expect as expectLocator } from 'playwright/test';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { buildSite } from '../../demo/server/page.mjs';
import { buildServiceWorker } from '../../demo/server/service-worker.mjs';
import { DemoTab, launchChromium } from '../support/demo-site.ts';
import { serveFolder, type StaticSite } from '../support/static-site.ts';

// The static site as it is put on a host: below some path, by a server that sets no header of its own.

const BELOW = '/some/path/';

let built: string;
let browser: Browser;
let folder: string;
let site: StaticSite;
let context: BrowserContext;

beforeAll(async () => {
  built = mkdtempSync(join(tmpdir(), 'tabserve-built-'));
  const nodeEnv = process.env['NODE_ENV'];
  process.env['NODE_ENV'] = 'production';
  await buildSite({ outDir: built }).finally(() => (process.env['NODE_ENV'] = nodeEnv));
  browser = await launchChromium();
});

afterAll(async () => {
  await browser.close();
  rmSync(built, { recursive: true, force: true });
});

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tabserve-site-'));
  await cp(built, join(folder, BELOW), { recursive: true });
  site = await serveFolder(folder);
  context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  context.setDefaultTimeout(100_000);
});

afterEach(async () => {
  await context.close();
  await site.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A tab of the site, which keeps what the policy forbade. */
async function open(path = ''): Promise<DemoTab> {
  const tab = new DemoTab(await context.newPage());
  await tab.page.addInitScript(() => {
    const page = globalThis as { violations?: string[] };
    page.violations = [];
    addEventListener('securitypolicyviolation', (event) => page.violations?.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  await tab.page.goto(`${site.origin}${BELOW}${path}`);
  return tab;
}

const violations = (tab: DemoTab): Promise<unknown> => tab.page.evaluate('globalThis.violations');

/** Resolves when the page would come without a network. */
async function kept(tab: DemoTab): Promise<void> {
  await tab.page.evaluate(async () => void (await navigator.serviceWorker.ready));
  await tab.page.waitForFunction(async () => (await navigator.serviceWorker.getRegistration())?.active?.state === 'activated');
}

async function answer(tab: DemoTab): Promise<string> {
  await tab.limitTokens(16);
  await tab.ask('Hello');
  return tab.answered();
}

test('below any path, without headers: answers, breaks no rule of its policy, and then does so offline', async () => {
  const tab = await open('?model=babble.gguf&temperature=0');
  await tab.ready();
  expect(await answer(tab)).toMatch(/[a-z]{2}/i);
  expect(await violations(tab)).toEqual([]);
  await kept(tab);

  await site.close();
  await tab.page.reload();
  await tab.ready();
  await tab.get('new-chat').click();
  expect(await answer(tab)).toMatch(/[a-z]{2}/i);
  expect(await violations(tab)).toEqual([]);
  expect(tab.complaints.filter((text) => !/ERR_(CONNECTION_REFUSED|INTERNET_DISCONNECTED)|Failed to fetch/.test(text))).toEqual([]);
  const models = await tab.page.evaluate(async () => {
    const caches_ = await Promise.all((await caches.keys()).map(async (name) => (await caches.open(name)).keys()));
    return caches_.flat().map(({ url }) => url).filter((url) => url.endsWith('.gguf'));
  });
  expect(models).toEqual([]);
});

test('its default model is the hub’s, at a commit', async () => {
  const tab = await open();
  await expectLocator(tab.get('model-default')).toContainText('SmolLM2-135M-Instruct');
  await expectLocator(tab.get('model-default')).toContainText('huggingface.co: 98');
  // Which is a lot for somebody who only looks: it is offered, and not loaded.
  await expectLocator(tab.page.locator('ts-load-progress, [data-testid=error]')).toHaveCount(0);
  const index: unknown = await tab.page.evaluate(async () => (await fetch('models/index.json')).json());
  expect(index).toMatchObject({ default: { url: expect.stringMatching(/^hf:[^@]+\.gguf@[0-9a-f]{40}$/) as unknown } });
});

test('the policy allows the hub and where it redirects to, and no other', async () => {
  const tab = await open();
  await tab.get('model-default').waitFor();
  const ask = (url: string): Promise<unknown> =>
    tab.page.evaluate((address) => fetch(address, { mode: 'no-cors', signal: AbortSignal.timeout(1000) }).then(() => {}, () => {}), url);
  for (const host of ['huggingface.co', 'cdn-lfs.huggingface.co', 'us.aws.cdn.hf.co', 'cas-bridge.xethub.hf.co']) await ask(`https://${host}/`);
  expect(await violations(tab)).toEqual([]);
  for (const url of ['https://example.com/', 'https://huggingface.co.example.com/', 'http://127.0.0.1:1/']) await ask(url);
  expect(await violations(tab)).toHaveLength(3);
  await tab.page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'document.title = "owned"';
    document.body.append(script);
    document.body.setAttribute('style', 'color: red');
  });
  expect(await violations(tab)).toEqual(expect.arrayContaining(['script-src-elem inline', 'style-src-attr inline']));
  expect(await tab.page.title()).not.toBe('owned');
});

test('can be installed', async () => {
  const tab = await open();
  const cdp = await context.newCDPSession(tab.page);
  await kept(tab);
  const { errors, url } = await cdp.send('Page.getAppManifest');
  expect({ errors, url }).toEqual({ errors: [], url: `${site.origin}${BELOW}manifest.webmanifest` });
  const { installabilityErrors } = await cdp.send('Page.getInstallabilityErrors');
  // A context of Playwright's is a private window, from which nothing is installed.
  expect(installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== 'in-incognito')).toEqual([]);
});

describe('a new build', () => {
  async function rebuild(): Promise<void> {
    const page = join(folder, BELOW, 'index.html');
    await writeFile(page, (await readFile(page, 'utf8')).replace(/<title>.*<\/title>/, '<title>newer</title>'));
    await rm(join(folder, BELOW, 'service-worker.js'));
    await buildServiceWorker(join(folder, BELOW));
  }

  const isNewer = async (tab: DemoTab): Promise<boolean> => (await tab.page.title()) === 'newer';

  const update = (tab: DemoTab): Promise<void> =>
    tab.page.evaluate(async () => {
      const registration = await navigator.serviceWorker.ready;
      await registration.update();
      while (registration.waiting === null) await new Promise((resolve) => setTimeout(resolve, 20));
    });

  test('waits while another tab has the old one, and comes when the only tab is loaded anew', async () => {
    const tab = await open();
    await kept(tab);
    await tab.page.reload();
    const other = await open();
    await rebuild();
    await update(tab);
    await tab.page.reload();
    expect(await isNewer(tab)).toBe(false);
    await other.page.close();
    // A browser may count a page for some moments after it was closed.
    const hasTakenOver = async (): Promise<boolean> => {
      const isLoaded = await tab.page.reload({ timeout: 20_000 }).then(() => true, () => false); // by chance, Chromium hangs
      if (!isLoaded) return false;
      if (!(await isNewer(tab))) return false;
      return tab.page.evaluate(async () => (await caches.keys()).length === 1 && (await navigator.serviceWorker.getRegistration())?.waiting === null);
    };
    await expect.poll(hasTakenOver, { timeout: 100_000, interval: 500 }).toBe(true);
    await site.close();
    await tab.page.reload();
    expect(await isNewer(tab)).toBe(true);
  });

  test('does not touch what other sites of the origin keep', async () => {
    await writeFile(join(folder, 'blank.html'), '<!doctype html>');
    const page = await context.newPage();
    await page.goto(`${site.origin}/blank.html`);
    await page.evaluate(async () => void (await caches.open('tabserve-page http://other/ 1')));
    const tab = await open();
    await kept(tab);
    expect(await page.evaluate(async () => (await caches.keys()).length)).toBe(2);
  });
});

test('the benchmark’s page breaks no rule either', async () => {
  const tab = await open('bench/?model=../babble.gguf');
  await tab.get('run').waitFor();
  for (const box of await tab.page.locator('[data-testid^=part-]').all()) await box.setChecked(false);
  await tab.get('part-ttft').check();
  await tab.get('run').click();
  await expectLocator(tab.get('run-state')).toHaveAttribute('data-state', 'done', { timeout: 120_000 });
  expect(await violations(tab)).toEqual([]);
});
