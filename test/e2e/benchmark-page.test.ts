import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright';
import { expect as expectLocator } from 'playwright/test';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sendFile } from '../../demo/server/send-file.mjs';
import { buildBench } from '../../demo/bench/build.mjs';
import { requireResults } from '../bench/results.mjs';
import { endlessModel, launchChromium } from '../support/demo-site.ts';
import { serveFolder } from '../support/static-site.ts';

// The benchmark's page as it is put on a static host: below some path, by a server that sets no header of its own.

let folder: string;
let server: Server;
let browser: Browser;
let address: string;
const asked: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tabserve-site-'));
  writeFileSync(join(folder, 'tiny.gguf'), endlessModel());
  await buildBench(join(folder, 'some', 'path', 'bench'));
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    if (request.url === '/redirect.gguf') return void response.writeHead(302, { location: '/tiny.gguf' }).end();
    sendFile(request, response, folder, new URL(request.url ?? '', 'http://x').pathname);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/some/path/bench/?model=../../../tiny.gguf`;
  browser = await launchChromium();
});

afterAll(async () => {
  await browser.close();
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The page with nothing chosen but these parts. */
async function open(...parts: readonly string[]): Promise<Page> {
  const page = await browser.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(address);
  for (const box of await page.locator('[data-testid^=part-]').all()) await box.setChecked(false);
  for (const part of parts) await page.getByTestId(`part-${part}`).check();
  expect(faults).toEqual([]);
  return page;
}

test('a visitor measures, sees the figures with what they lack, and takes them along; nothing is sent', async () => {
  const page = await open('models', 'ttft');
  await expectLocator(page.getByTestId('adapter')).toContainText('software: not a GPU');
  await page.getByTestId('run').click();
  await expectLocator(page.getByTestId('run-state')).toHaveAttribute('data-state', 'running');
  await expectLocator(page.getByTestId('run-state')).toHaveAttribute('data-state', 'done', { timeout: 240_000 });
  await expectLocator(page.locator('[data-testid=part][data-state=done]')).toHaveCount(2);
  await expectLocator(page.getByTestId('caveats')).toContainText('the adapter is software');
  await expectLocator(page.getByTestId('results')).toContainText('context 128, batch 4');
  await expectLocator(page.getByTestId('results')).toContainText('TTFT');
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByTestId('download').click()]);
  const results = requireResults(JSON.parse(readFileSync(await download.path(), 'utf8')), 'the file');
  expect(results).toMatchObject({ clean: false, head: { suite: 'page', adapter: { isSoftware: true } } });
  const speeds = results.rows.filter(({ metric }) => metric === 'decode');
  expect(speeds.map(({ dimensions }) => dimensions['batch'])).toEqual([1, 4]);
  for (const { samples } of speeds) expect(samples[0]).toBeGreaterThan(0);
  await expectLocator(page.locator('iframe')).toHaveCount(0);
  expect(asked.filter((line) => !/^(GET|HEAD) \/(some\/path\/bench\/|tiny\.gguf)/.test(line) && !line.includes('/some/path/models/index.json'))).toEqual([]);
  await page.close();
});

test('stopping ends the suite at once, and keeps what was measured; hiding the page keeps nothing', async () => {
  const page = await open('ttft', 'load');
  // Clicked in the page itself, at the moment the part begins: on a fast machine it is over before another process sees it.
  await page.evaluate(() => {
    const watch = new MutationObserver(() => {
      if (document.querySelector('[data-part=load][data-state=running]') === null) return;
      watch.disconnect();
      document.querySelector<HTMLElement>('[data-testid=stop]')?.click();
    });
    watch.observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  await page.getByTestId('run').click();
  await expectLocator(page.getByTestId('run-state')).toHaveAttribute('data-state', 'stopped', { timeout: 120_000 });
  await expectLocator(page.locator('[data-part=load]')).toHaveAttribute('data-state', 'stopped');
  await expectLocator(page.locator('iframe')).toHaveCount(0);
  await expectLocator(page.getByTestId('results')).toContainText('TTFT');
  await expectLocator(page.getByTestId('caveats')).toContainText('the run was stopped before its end');
  await expectLocator(page.getByTestId('run')).toBeEnabled();

  // Hidden during the next run, the page says so, and shows no result.
  await page.evaluate(() => {
    const watch = new MutationObserver(() => {
      if (document.querySelector('[data-part=ttft][data-state=running]') === null) return;
      watch.disconnect();
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });
      document.dispatchEvent(new Event('visibilitychange'));
    });
    watch.observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  await page.getByTestId('run').click();
  await expectLocator(page.getByTestId('refused')).toContainText('this tab was hidden during the run', { timeout: 120_000 });
  await expectLocator(page.locator('iframe')).toHaveCount(0);
  await expectLocator(page.getByTestId('results')).toHaveCount(0);
  await expectLocator(page.getByTestId('download')).toHaveCount(0);
  await page.close();
});

test('a link loads nothing from another host, nor by a redirect or by the suite’s frames; its button says which host', async () => {
  const { origin } = new URL(address);
  const other = await serveFolder(folder, (response) => void response.setHeader('access-control-allow-origin', '*'));
  try {
    const linked = `${other.origin}/tiny.gguf`;
    for (const page of ['frame.html', 'start-frame.html', 'suite.html']) await (await browser.newPage()).goto(new URL(`${page}?model=${linked}&seed=1`, address).href);
    const page = await browser.newPage();
    await page.goto(`${address.split('?')[0]}?model=${origin}/redirect.gguf`);
    await expectLocator(page.getByTestId('linked-model')).toContainText(new URL(origin).host);
    const signature = 'X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-Signature=secret';
    await page.goto(`${address.split('?')[0]}?model=${encodeURIComponent(`${linked}?${signature}`)}`);
    await expectLocator(page.getByTestId('run')).toContainText(`Load the model from ${new URL(linked).host}`);
    await expectLocator(page.getByTestId('model')).toHaveText(linked);
    for (const shown of [page.url(), await page.content()]) expect(shown).not.toContain('secret');
    await page.keyboard.press('Enter');
    await expectLocator(page.getByTestId('run-state')).toHaveCount(0);
    expect(other.log).toEqual([]);
    for (const box of await page.locator('[data-testid^=part-]').all()) await box.setChecked(false);
    await page.getByTestId('part-ttft').check();
    await page.getByTestId('run').click();
    await expect.poll(() => other.log, { timeout: 60_000 }).toContain('GET /tiny.gguf');
    await page.close();
  } finally {
    await other.close();
  }
});

test('without WebGPU the page says what is missing, and offers no run', async () => {
  const page = await browser.newPage();
  await page.addInitScript(() => Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined }));
  await page.goto(address);
  await expectLocator(page.getByTestId('obstacle')).toContainText('WebGPU');
  await expectLocator(page.getByTestId('run')).toHaveCount(0);
  await page.close();
});
