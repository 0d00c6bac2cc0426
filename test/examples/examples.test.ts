import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright';
import { expect as expectLocator } from 'playwright/test';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { endlessModel, launchChromium } from '../support/demo-site.ts';
import { ExampleApp, MODEL_PATH } from '../support/example-app.ts';
import { pack } from '../support/installed-package.ts';
import { serveFolder } from '../support/static-site.ts';
import { ROOT } from '../unit/structure/source-graph.ts';

// docs/examples as somebody who copies them has them: beside the packed package, with the packages that npm installs.

const MODEL = endlessModel();

let packed: string;
let tarball: string;
let browser: Browser;

beforeAll(async () => {
  packed = mkdtempSync(join(tmpdir(), 'tabserve-packed-'));
  tarball = pack(ROOT, packed);
  browser = await launchChromium();
});

afterAll(async () => {
  await browser.close();
  rmSync(packed, { recursive: true });
});

/** A tab, of an origin and a context of its own unless one is given, whose errors fail the test. */
async function openTab(url: string, context?: BrowserContext): Promise<Page> {
  const own = context ?? (await browser.newContext());
  onTestFinished(() => own.close());
  const page = await own.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  onTestFinished(() => expect(errors).toEqual([]));
  await page.goto(url);
  return page;
}

async function staticSite(...args: Parameters<typeof serveFolder>): Promise<string> {
  const site = await serveFolder(...args);
  onTestFinished(() => site.close());
  return site.origin;
}

const ask = (page: Page) => page.getByRole('button', { name: 'Ask' });
const stop = (page: Page) => page.getByRole('button', { name: 'Stop' });
const answer = (page: Page) => page.locator('output');
const ANSWER = /[a-z]{2}/i;
const IN_TIME = { timeout: 120_000 };

/** Asks, and waits for the answer's end. */
async function answered(page: Page): Promise<string> {
  await ask(page).click(IN_TIME);
  await expectLocator(ask(page)).toBeDisabled();
  await expectLocator(ask(page)).toBeEnabled(IN_TIME);
  return answer(page).innerText();
}

/** An example, installed once for the tests of a group. */
function installed(name: string): () => ExampleApp {
  let app: ExampleApp;
  beforeAll(() => {
    app = new ExampleApp(name, tarball);
  });
  afterAll(() => app.remove());
  return () => app;
}

describe('no-build', () => {
  const app = installed('no-build');

  test('answers', async () => {
    app().runBlock('no-build');
    app().addModel(MODEL);
    const page = await openTab(await staticSite(app().folder));
    expect(await answered(page)).toMatch(ANSWER);
  });

  test('says why there is no model', async () => {
    app().runBlock('no-build');
    rmSync(join(app().folder, MODEL_PATH), { force: true });
    const page = await openTab(await staticSite(app().folder));
    await expectLocator(answer(page)).toContainText('model_not_found: ', IN_TIME);
    await expectLocator(ask(page)).toBeDisabled();
  });
});

describe('webpack', () => {
  const app = installed('webpack');

  test('answers', async () => {
    app().npm('run', 'build');
    app().addModel(MODEL);
    const page = await openTab(await staticSite(app().folder));
    expect(await answered(page)).toMatch(ANSWER);
  });
});

/** The engine as another client of the origin sees it. */
interface Observer {
  metrics(): Promise<{ readonly sessions: number; readonly requestsRunning: number }>;
}

describe('react', () => {
  const app = installed('react');
  let site: { readonly origin: string; stop(): void };

  beforeAll(async () => {
    const { folder } = app();
    app().npm('run', 'build'); // which checks the types
    mkdirSync(join(folder, 'public'));
    app().addModel(MODEL, 'public');
    const observer = `import { createClient } from 'tabserve';\nglobalThis.observer = await createClient({ model: '${MODEL_PATH}' });\n`;
    writeFileSync(join(folder, 'observer.js'), observer);
    writeFileSync(join(folder, 'observer.html'), '<!doctype html><script type="module" src="/observer.js"></script>');
    site = await app().serve('dev', '--host', '127.0.0.1');
  });

  afterAll(() => site.stop());

  /** The example in React's development build, whose StrictMode mounts twice, and what another client sees of it. */
  async function open() {
    const context = await browser.newContext();
    const observer = await openTab(`${site.origin}/observer.html`, context);
    await observer.waitForFunction('globalThis.observer !== undefined', undefined, IN_TIME);
    const page = await openTab(site.origin, context);
    const metrics = () =>
      observer.evaluate(async () => {
        const { sessions, requestsRunning } = await (globalThis as unknown as { observer: Observer }).observer.metrics();
        return { clients: sessions - 1, requestsRunning };
      });
    return { page, metrics };
  }

  test('StrictMode leaves one client, which answers; stopping keeps the text', async () => {
    const { page, metrics } = await open();
    await expectLocator(ask(page)).toBeEnabled(IN_TIME);
    await expect.poll(metrics).toEqual({ clients: 1, requestsRunning: 0 });
    await ask(page).click();
    await expectLocator(answer(page)).toHaveText(ANSWER, IN_TIME);
    await stop(page).click();
    await expectLocator(ask(page)).toBeEnabled();
    const text = await answer(page).innerText();
    await expect.poll(metrics).toEqual({ clients: 1, requestsRunning: 0 });
    expect(text).toMatch(ANSWER);
    expect(await answer(page).innerText()).toBe(text);
    expect((await answered(page)).length).toBeGreaterThan(text.length); // to its end
  });

  test('unmounting ends the answer and the client, or the loading', async () => {
    const { page, metrics } = await open();
    await ask(page).click(IN_TIME);
    await expect.poll(metrics).toEqual({ clients: 1, requestsRunning: 1 });
    await page.getByRole('button', { name: 'Close' }).click();
    await expect.poll(metrics).toEqual({ clients: 0, requestsRunning: 0 });
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('button', { name: 'Close' }).click();
    await expect.poll(metrics).toEqual({ clients: 0, requestsRunning: 0 });
    await page.getByRole('button', { name: 'Open' }).click();
    await expectLocator(ask(page)).toBeEnabled(IN_TIME);
    await expect.poll(metrics).toEqual({ clients: 1, requestsRunning: 0 });
  });
});

describe('next', () => {
  const app = installed('next');
  let site: { readonly origin: string; stop(): void };

  beforeAll(async () => {
    const { folder } = app();
    copyFileSync(join(ROOT, 'docs/examples/react/use-chat.ts'), join(folder, 'app/use-chat.ts'));
    mkdirSync(join(folder, 'public'));
    app().addModel(MODEL, 'public');
    app().npm('run', 'build');
    site = await app().serve('start', '--port', '0');
  });

  afterAll(() => site.stop());

  test('is rendered on the server, and answers in the browser', async () => {
    expect(await (await fetch(site.origin)).text()).toContain('What is the capital of France?');
    const page = await openTab(site.origin);
    expect(await answered(page)).toMatch(ANSWER);
  });
});

describe('abort-and-fallback', () => {
  const app = installed('abort-and-fallback');

  beforeAll(() => {
    app().npm('run', 'build');
    app().addModel(MODEL, 'dist');
  });

  interface Site {
    readonly page: Page;
    /** Requests to the server that answers in the model's place. */
    readonly requests: readonly ServerResponse[];
  }

  /** The site, and a server that begins its first answer with `from the server` and never ends it, and begins no other. */
  async function open({ hasModel = true, from = browser } = {}): Promise<Site> {
    const requests: ServerResponse[] = [];
    const origin = await staticSite(join(app().folder, 'dist'), (response, path) => {
      if (path === MODEL_PATH && !hasModel) response.writeHead(404).end();
      if (path !== '/v1/chat/completions') return false;
      if (requests.push(response) > 1) return true;
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'from the server' } }] })}\n\n`);
      return true;
    });
    return { page: await openTab(origin, await from.newContext()), requests };
  }

  const note = (page: Page) => page.locator('p');

  test('answers in the browser until it is stopped, and again', async () => {
    const { page, requests } = await open();
    await ask(page).click(IN_TIME);
    await expectLocator(answer(page)).toHaveText(ANSWER, IN_TIME);
    await stop(page).click();
    await expectLocator(ask(page)).toBeEnabled();
    const stopped = await answer(page).innerText();
    expect((await answered(page)).length).toBeGreaterThan(stopped.length);
    await expectLocator(note(page)).toHaveText('Answers come from this browser.');
    expect(requests).toEqual([]);
  });

  /** The server answers, until that is stopped: in the middle of an answer, and before one begins. */
  async function isAnsweredByServer({ page, requests }: Site): Promise<void> {
    for (const [index, text] of ['from the server', ''].entries()) {
      await ask(page).click(IN_TIME);
      await expect.poll(() => requests.length, { timeout: 10_000 }).toBe(index + 1);
      await expectLocator(answer(page)).toHaveText(text);
      await stop(page).click();
      await expect.poll(() => requests[index]?.closed, { timeout: 10_000 }).toBe(true);
      await expectLocator(ask(page)).toBeEnabled();
      await expectLocator(note(page)).toHaveText(/^Answers come from the server\./); // and no error of stopping
    }
  }

  test('without WebGPU a server answers, and the page says why', async () => {
    const without = await launchChromium(['--no-sandbox', '--disable-gpu']);
    onTestFinished(() => without.close());
    const site = await open({ from: without });
    await expectLocator(note(site.page)).toHaveText(/^Answers come from the server\. .*(GPU|adapter)/);
    await isAnsweredByServer(site);
  });

  test('where the model cannot be loaded a server answers, and the page says why', async () => {
    const site = await open({ hasModel: false });
    await expectLocator(note(site.page)).toHaveText(/^Answers come from the server\. model_not_found: /, IN_TIME);
    await isAnsweredByServer(site);
  });
});
