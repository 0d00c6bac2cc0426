import { readFileSync } from 'node:fs';
import { expect as expectLocator } from 'playwright/test';
import { describe, expect, test } from 'vitest';
import { useDemo } from '../support/demo-fixture.ts';
import { DemoTab, TINY_PATH } from '../support/demo-site.ts';
import { startFakeHub, type FakeRepo } from '../support/fake-hub.ts';
import { serveFolder } from '../support/static-site.ts';

const demo = useDemo();

const open = (address: string): Promise<DemoTab> => DemoTab.open(demo.context, `${demo.site.url}/?temperature=0&model=${address}`);

const openTiny = (): Promise<DemoTab> => demo.openTiny();

/** A conversation that the page finds in its storage. */
async function remember(...turns: object[]): Promise<void> {
  await demo.context.addInitScript((json) => sessionStorage.setItem('tabserve.conversation', json), JSON.stringify(turns));
}

describe('the focus', () => {
  test('stays in the composer when an answer is asked for, and when it is stopped', async () => {
    const tab = await demo.openWarm();
    await tab.limitTokens(1900);
    await tab.ask('Talk for a long time.');
    await expectLocator(tab.get('prompt')).toBeFocused();
    await tab.page.locator('.answer[data-state=streaming]').waitFor();
    await tab.get('stop').click();
    await tab.answered();
    await expectLocator(tab.get('prompt')).toBeFocused();
    await tab.limitTokens(4);
    await tab.get('regenerate').click();
    await expectLocator(tab.get('prompt')).toBeFocused();
  });

  test('goes into the sheet on a phone, stays there, and comes back; the sheet’s header stays in view', async () => {
    const phone = await demo.browser.newContext({ viewport: { width: 390, height: 700 }, hasTouch: true });
    const tab = await DemoTab.open(phone, `${demo.site.url}/?model=${TINY_PATH}`);
    await tab.ready();
    await tab.get('panel-toggle').click();
    const close = tab.page.locator('.panel-close');
    await expectLocator(close).toBeFocused();
    await expectLocator(tab.page.locator('main')).toHaveAttribute('inert', '');
    await tab.get('to-settings').click();
    await expectLocator(tab.get('temperature')).toBeFocused();
    await expectLocator(close).toBeInViewport({ ratio: 1 });
    await close.click();
    await expectLocator(tab.get('panel-toggle')).toBeFocused();
    await phone.close();
  });
});

describe('what cannot be loaded', () => {
  test('an address that is none is answered with those that are', async () => {
    const tab = await open('notamodel');
    await expectLocator(tab.get('error')).toContainText('hf:owner/repo/file.gguf');
    await expectLocator(tab.get('error')).toContainText('?model=notamodel');
  });

  test('a host that cannot be reached did not interrupt anything', async () => {
    const tab = await open('http://localhost:1/a.gguf');
    await tab.get('load-linked').click();
    await expectLocator(tab.get('error')).toHaveAttribute('data-code', 'download_failed', { timeout: 30_000 });
    await expectLocator(tab.get('error')).toContainText('could not be fetched');
    await expectLocator(tab.get('error')).not.toContainText('interrupted');
    await expectLocator(tab.get('remedy')).toHaveText('Try again');
  });

  test('what a link names on another host is loaded by its button only, and its signature is not shown', async () => {
    const other = await serveFolder(demo.distDir, (response) => void response.setHeader('access-control-allow-origin', '*'));
    try {
      const signature = 'X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-Signature=secret';
      const url = `${other.origin}/missing/SmolLM2.gguf`;
      const tab = await open(encodeURIComponent(`${url}?${signature}`));
      await expectLocator(tab.get('linked-model')).toContainText(`The link names a model on ${new URL(url).host}`);
      await expectLocator(tab.get('linked-url')).toHaveText(url);
      await expectLocator(tab.get('model-url')).toHaveValue(url);
      expect(await tab.page.evaluate(() => document.activeElement?.closest('button, form:has([data-testid=model-url])'))).toBeNull();
      for (const key of ['Enter', 'Space', 'Escape']) await tab.page.keyboard.press(key);
      await expectLocator(tab.get('model-status')).toHaveAttribute('data-state', 'none');
      for (const shown of [tab.page.url(), await tab.page.content()]) expect(shown).not.toContain('secret');
      expect(new URL(tab.page.url()).searchParams.get('model')).toBe(url);
      expect(other.log).toEqual([]);
      expect(await tab.page.evaluate(async () => (await (await navigator.storage.getDirectory()).keys().next()).done)).toBe(true);
      await tab.get('load-linked').click();
      await expectLocator(tab.get('error')).toHaveAttribute('data-code', 'model_not_found', { timeout: 60_000 });
      expect(other.log).toContain('GET /missing/SmolLM2.gguf');
    } finally {
      await other.close();
    }
  });

  test('another tab may use another model', async () => {
    const tiny = await demo.openWarm();
    const tab = await DemoTab.open(tiny.page.context(), `${demo.site.url}/?model=babble.gguf`);
    await tab.ready();
    await expectLocator(tab.get('babble-badge')).toHaveCount(1);
    await tiny.limitTokens(4);
    await tiny.ask('Are you still there?');
    await tiny.answered();
    await expectLocator(tiny.get('babble-badge')).toHaveCount(0);
  });

  test('without WebGPU there is no engine room to show', async () => {
    await demo.context.addInitScript(() => Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined }));
    const tab = await DemoTab.open(demo.context, demo.site.url);
    await tab.get('unsupported').waitFor();
    expect(await tab.page.locator('ts-panel, ts-composer, [data-testid=panel-toggle]').count()).toBe(0);
  });
});

describe('choosing another model', () => {
  const modelOf = (tab: DemoTab): string | null => new URL(tab.page.url()).searchParams.get('model');

  test('by a mistyped address leaves the one that works, in the address too', async () => {
    const tab = await demo.openWarm();
    await tab.limitTokens(4);
    await tab.get('model-status').click();
    await tab.get('model-url').fill('/models/missing.gguf');
    await tab.get('model-load').click();
    await expectLocator(tab.get('error')).toHaveAttribute('data-code', 'model_not_found', { timeout: 60_000 });
    await expectLocator(tab.get('still-answers')).toHaveText('missing could not be loaded. tiny still answers.');
    await tab.ask('Are you still there?');
    await tab.answered();
    expect(await tab.text('answer-stats')).toContain('4 tokens');
    await expectLocator(tab.get('error')).toHaveCount(0);
    expect(modelOf(tab)).toBe(TINY_PATH);
    await tab.page.reload();
    await tab.ready();
  });

  test('takes its place when it is there, with figures of its own', async () => {
    const tab = await demo.openWarm();
    await tab.limitTokens(4);
    await tab.ask('Hello');
    await tab.answered();
    await expectLocator(tab.get('metric-tps')).toHaveText(/^\d/);
    await tab.get('model-status').click();
    await tab.get('model-babble').click();
    await expectLocator(tab.get('babble-badge')).toBeVisible({ timeout: 60_000 });
    expect(modelOf(tab)).toBe('babble.gguf');
    await expectLocator(tab.get('metric-tps')).toHaveText(/^–/);
    await tab.ask('And you?');
    await tab.answered();
    await expectLocator(tab.get('answer-model')).toHaveText(['tiny', 'Tiny test model']);
    await expectLocator(tab.get('metric-tps')).toHaveText(/^\d/);
    expect(tab.complaints).toEqual([]);
  });

  test('from a repository’s page, whose files are offered, within the page’s policy', async () => {
    const hub = await startFakeHub();
    try {
      const files = ['model.Q4_1.gguf', 'model.Q4_K_M.gguf', 'README.md'].map((name) => [name, { content: new Uint8Array(64), lastCommit: '0' }]);
      hub.repos.set('owner/name', { revisions: { main: '0' }, commits: { 0: Object.fromEntries(files) as FakeRepo['commits'][string] } });
      const tab = await demo.openWarm();
      await tab.page.route('https://huggingface.co/**', async (route) => {
        const { pathname, search } = new URL(route.request().url());
        await route.fulfill({ response: await route.fetch({ url: `${hub.server.origin}${pathname}${search}` }) });
      });
      await tab.get('model-status').click();
      await tab.get('model-url').fill('https://huggingface.co/owner/none');
      await tab.get('model-load').click();
      await expectLocator(tab.get('repository')).toContainText('There is no owner/none');
      await tab.get('model-url').fill('https://huggingface.co/owner/name');
      await tab.get('model-load').click();
      await expectLocator(tab.get('repository-file')).toHaveText([/model\.Q4_1\s*64 B\s+Load/, /model\.Q4_K_M\s*64 B · Q4_K_M is not supported yet/]);
      expect(hub.questions).toEqual(['tree main', 'tree main']);
      expect(tab.complaints).toEqual([expect.stringContaining('401')]); // which the browser itself writes
    } finally {
      await hub.close();
    }
  });
});

describe('what is said', () => {
  test('a long question is cut until it is asked for', async () => {
    await remember({ role: 'user', id: '1', content: 'word '.repeat(4000) }, { role: 'user', id: '2', content: 'short' });
    const tab = await DemoTab.open(demo.context, demo.site.url);
    const height = async (): Promise<number> => (await tab.get('question').first().boundingBox())?.height ?? 0;
    expect(await height()).toBeLessThan(300);
    await expectLocator(tab.get('question-more')).toHaveCount(1);
    await tab.get('question-more').click();
    expect(await height()).toBeGreaterThan(1000);
    await tab.get('question-more').click();
    expect(await height()).toBeLessThan(300);
  });

  test('a line break of the model’s is one', async () => {
    await remember({ role: 'user', id: '1', content: 'A poem' }, {
      role: 'assistant', id: '2', content: 'The sea\nis deep', state: { kind: 'done' },
    });
    const tab = await DemoTab.open(demo.context, demo.site.url);
    expect(await tab.text('answer')).toBe('The sea\nis deep');
  });

  test('text that grows has a cursor at its end, and loses it there', async () => {
    const tab = await demo.openWarm();
    await tab.limitTokens(400);
    await tab.ask('Talk.');
    await tab.page.locator('.answer[data-state=streaming] .markdown > [data-tip]:last-child').waitFor();
    await tab.answered();
    expect(await tab.page.locator('[data-tip]').count()).toBe(0);
  });

  test('a model of random weights says so wherever the conversation is, and what it is called', async () => {
    const tab = await open('babble.gguf');
    await tab.ready();
    await tab.limitTokens(4);
    await tab.ask('Hello');
    await tab.answered();
    await expectLocator(tab.get('babble-badge')).toHaveText('babble: random weights');
    await expectLocator(tab.get('model-name')).toHaveText('Tiny test model');
    await expectLocator(tab.get('model-own-name')).toBeVisible();
  });
});

test('chats are kept: listed, opened, saved as a file and deleted; two tabs with the same one lose nothing', async () => {
  const tab = await openTiny();
  await tab.limitTokens(4);
  await tab.ask('First question');
  const first = await tab.answered();
  await tab.get('new-chat').click();
  await tab.ask('Second question');
  await tab.answered();
  const other = await openTiny();
  for (const each of [tab, other]) {
    await each.page.bringToFront();
    await each.get('chats').click();
    await expectLocator(each.get('open-chat')).toHaveCount(2);
    await each.get('open-chat').filter({ hasText: 'First question' }).click();
    await expectLocator(each.get('answer').first()).toHaveText(first);
    await each.ask(`And then, ${each === tab ? 'one' : 'two'}?`);
    await each.answered();
  }
  await tab.page.bringToFront();
  await tab.get('chats').click();
  await expectLocator(tab.get('open-chat')).toHaveCount(2);
  await tab.page.keyboard.press('Escape');
  await tab.ask('Last words');
  await tab.answered();
  await tab.get('chats').click();
  await expectLocator(tab.get('open-chat')).toHaveCount(3);
  const [download] = await Promise.all([tab.page.waitForEvent('download'), tab.get('export-markdown').click()]);
  const saved = readFileSync(await download.path(), 'utf8');
  expect(saved).toMatch(/^# First question\n\n> First question\n/);
  expect(saved).toContain('> Last words');
  await tab.get('chat').filter({ hasText: 'open here' }).getByTestId('delete').click();
  await tab.get('delete-confirm').click();
  await expectLocator(tab.get('open-chat')).toHaveCount(2);
  await expectLocator(tab.get('question')).toHaveCount(0);
  expect([...tab.complaints, ...other.complaints]).toEqual([]);
});

test('the models on this device are listed, and can be deleted', async () => {
  const tab = await openTiny();
  await tab.get('model-status').click();
  await expectLocator(tab.get('cached-model')).toHaveText(/tiny.* (kB|MB)\s*· used just now/s);
  await expectLocator(tab.get('cache-promise')).toBeVisible();
  await tab.get('cached-model').getByTestId('delete').click();
  await tab.get('delete-confirm').click();
  await expectLocator(tab.get('cached-model')).toHaveCount(0);
  await expectLocator(tab.get('cache-total')).toContainText('No model is stored');
  await tab.page.keyboard.press('Escape');
  await tab.limitTokens(4);
  await tab.ask('Hello');
  await tab.answered();
  expect(await tab.text('answer-stats')).toContain('4 tokens');

  // It is not fetched again by a reload, but by a button.
  demo.site.log.length = 0;
  await tab.page.reload();
  await expectLocator(tab.get('deleted-model')).toContainText('tiny was deleted from this device');
  expect(demo.site.log.filter(({ url }) => url.endsWith('.gguf'))).toEqual([]);
  await tab.get('load-deleted').click();
  await tab.ready();
});
