import { AxeBuilder } from '@axe-core/playwright';
import type { Browser, BrowserContextOptions, Page } from 'playwright';
import { expect as expectLocator } from 'playwright/test';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startDemoStates } from '../support/demo-states-site.ts';
import { launchChromium } from '../support/demo-site.ts';

let site: Awaited<ReturnType<typeof startDemoStates>>;
let browser: Browser;
let page: Page;
/** What the page complained about: above all, what its Content-Security-Policy forbade. */
let complaints: string[] = [];

beforeAll(async () => {
  [site, browser] = await Promise.all([startDemoStates(), launchChromium(['--no-sandbox'])]);
});
afterAll(async () => {
  await browser?.close();
  await site?.close();
});
afterEach(async () => {
  await page.context().close();
  expect(complaints).toEqual([]);
});

async function open(state: string, options: BrowserContextOptions = {}): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', ...options });
  page = await context.newPage();
  complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  await page.goto(site.url);
  await page.waitForFunction(() => 'states' in globalThis);
  await show(state);
}

async function show(state: string): Promise<void> {
  await page.evaluate((name) => globalThis.states.show(name), state);
  await arrived();
}

/** What has been asked for is there, and what moves in has come to rest. */
async function arrived(): Promise<void> {
  await page.locator('tabserve-app header').first().waitFor();
  await page.evaluate(async () => {
    for (const each of document.querySelectorAll('*')) if ('updateComplete' in each) await each.updateComplete;
    await Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {})));
  });
}

const get = (testId: string) => page.getByTestId(testId);

/** What axe finds, in short: the rule and the elements. @param rules only these */
async function findings(rules?: readonly string[]): Promise<readonly string[]> {
  const axe = new AxeBuilder({ page });
  const { violations } = await (rules === undefined ? axe : axe.withRules([...rules])).analyze();
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 160)}`));
}

/** What has to be scrolled sideways, but for code and tables. */
const tooWide = (): Promise<readonly string[]> => page.evaluate(() =>
  [...document.querySelectorAll('body *')]
    .filter((each) => each.scrollWidth > each.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(each).overflowX))
    .filter((each) => !each.matches('pre, .table'))
    .map((each) => each.outerHTML.slice(0, 80)));

const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
/** A card of every error is in `errors`; those of a model that failed differ from each other in words and button only. */
const STATES = [
  'none', 'loading', 'ready', 'streaming', 'done', 'errors', 'unsupported', 'no adapter', 'failed: model_busy', 'lost in a chat',
  'another loads', 'another failed in a chat', 'deleted', 'repository', 'linked', 'linked in a chat',
];
interface Look {
  readonly look: string;
  readonly options: BrowserContextOptions;
  readonly states: readonly string[];
  readonly rules?: readonly string[];
}

/** In the dark only the colours are others; a phone has a layout of its own. */
const LOOKS: readonly Look[] = [
  { look: 'light', options: {}, states: STATES },
  { look: 'dark', options: { colorScheme: 'dark' }, states: ['loading', 'ready', 'done', 'errors', 'unsupported', 'another loads', 'repository'], rules: ['color-contrast'] },
  { look: 'on a phone', options: PHONE, states: ['none', 'done', 'failed: model_busy', 'another failed', 'repository', 'linked'] },
];

describe.each(LOOKS)('axe finds nothing, $look,', ({ look, options, states, rules }) => {
  test('in every state', async () => {
    await open('ready', options);
    const found: Record<string, readonly string[]> = {};
    for (const state of states) {
      await show(state);
      found[state] = [...await findings(rules), ...await tooWide()];
    }
    expect(found).toEqual(Object.fromEntries(states.map((state) => [state, []])));
  });

  test('in dialogs, in the settings and while a question is edited', async () => {
    await open('done', options);
    if (look === 'on a phone') await get('panel-toggle').click();
    for (const each of ['profiler', 'developer', 'sampling', 'tuning']) await get(each).locator('summary').first().click();
    expect(await findings(rules)).toEqual([]);
    if (look === 'on a phone') await page.locator('.panel-close').click();
    await get('model-status').click();
    await get('cached-model').first().waitFor();
    await get('cache').getByTestId('delete').first().click();
    expect([...await findings(rules), ...await tooWide()]).toEqual([]);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
    await get('edit-question').last().focus();
    await page.keyboard.press('Enter');
    await get('edit-text').waitFor();
    await get('chats').click();
    await get('chat').first().waitFor();
    expect(await findings(rules)).toEqual([]);
    await page.keyboard.press('Escape');
    if (look === 'on a phone') return;
    expect(await findings(rules)).toEqual([]);
  });
});

describe('the keyboard', () => {
  test('reaches everything in order, and each focus is seen', async () => {
    await open('done');
    await page.locator('.wordmark').focus(); // the composer has it at first
    const reached: string[] = [];
    const unseen: string[] = [];
    for (let press = 0; press < 40; press++) {
      await page.keyboard.press('Tab');
      const focus = await page.evaluate(() => {
        const element = document.activeElement as HTMLElement;
        const box = element.closest<HTMLElement>('.composer-box, .option') ?? element;
        const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(box);
        const isSeen = (outlineStyle !== 'none' && outlineWidth !== '0px') || (box !== element && boxShadow !== 'none');
        return { name: element.dataset['testid'] ?? element.getAttribute('aria-label') ?? element.tagName, isSeen };
      });
      if (focus.name === 'BODY') break;
      reached.push(focus.name);
      if (!focus.isSeen) unseen.push(focus.name);
    }
    expect(unseen).toEqual([]);
    const order = ['model-status', 'new-chat', 'chats', 'theme', 'edit-question', 'copy-answer', 'regenerate', 'prompt', 'send', 'to-settings', 'temperature'];
    expect(order.map((name) => reached.indexOf(name))).toEqual(order.map((name) => reached.indexOf(name)).toSorted((a, b) => a - b));
    expect(order.filter((name) => !reached.includes(name))).toEqual([]);
  });

  test('opens a dialog, stays in it, confirms a deletion, and comes back where it was', async () => {
    await open('done');
    await get('model-status').focus();
    await page.keyboard.press('Enter');
    await get('cached-model').nth(1).waitFor();
    await expectLocator(get('cached-model').nth(1)).toContainText('partly, 43 %');
    await expectLocator(get('cache-total')).toContainText('270.0 MB in all. The browser’s estimate is that 4.00 GB');
    for (let press = 0; press < 14; press++) {
      await page.keyboard.press('Tab');
      // The browser itself takes a turn in the ring: the body then.
      expect(await page.evaluate(() => document.activeElement?.closest('dialog') !== null || document.activeElement === document.body)).toBe(true);
    }
    await get('delete').last().focus();
    await page.keyboard.press('Enter');
    await expectLocator(get('delete-cancel')).toBeFocused();
    await page.keyboard.press('Escape');
    await expectLocator(get('delete').last()).toBeFocused();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await expectLocator(get('cached-model')).toHaveCount(1);
    await expectLocator(page.locator('#cache-title')).toBeFocused();
    await page.keyboard.press('Escape');
    await expectLocator(get('model-status')).toBeFocused();
    await expectLocator(get('cache-promise')).toHaveCount(0);
    await get('model-status').click();
    await get('cached-load').first().click();
    await expectLocator(page.locator('dialog[open]')).toHaveCount(0);
    await get('model-status').click();
    await expectLocator(get('cache-promise')).toContainText('has promised to keep');
  });

  test('edits a question: Shift+Enter a line, Escape back, Enter asks', async () => {
    await open('done');
    await get('edit-question').last().focus();
    await page.keyboard.press('Enter');
    await expectLocator(get('edit-text')).toBeFocused();
    await page.keyboard.press('Escape');
    await expectLocator(get('edit-question').last()).toBeFocused();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('now');
    await page.keyboard.press('Enter');
    await expectLocator(get('question').last()).toHaveText('And then?\nnow');
    await expectLocator(get('prompt')).toBeFocused();
    await expectLocator(get('question')).toHaveCount(2);
  });
});

test('a screen reader hears the answer once, by sentences, and its end; what was said before is not read', async () => {
  await open('done');
  await expectLocator(get('live-region')).toHaveText('');
  await show('streamed');
  await expectLocator(get('live-region')).toContainText('That is all.');
  expect(await get('live-region').locator('p').count()).toBeLessThan(6);
  await expectLocator(page.locator('.log')).toHaveAttribute('aria-live', 'off');
});

test('text runs in its own direction, and code from left to right', async () => {
  await open('rtl');
  const directionOf = (selector: string) => page.locator(selector).first().evaluate((each) => getComputedStyle(each).direction);
  expect(await directionOf('[data-testid=question]')).toBe('rtl');
  for (const block of ['h1', 'p', 'ol', 'blockquote', '.table']) expect([block, await directionOf(`.markdown ${block}`)]).toEqual([block, 'rtl']);
  for (const code of ['.markdown p code', '.markdown pre code']) expect(await directionOf(code)).toBe('ltr');
  expect(await directionOf('.markdown >> text=And a paragraph')).toBe('ltr');
  await get('prompt').fill('שלום');
  expect(await directionOf('#prompt')).toBe('rtl');
});

test('a full queue counts down; a lost connection goes on by itself; an error of a setting leads there', async () => {
  await open('errors');
  const card = (code: string) => page.locator(`[data-testid=error][data-code=${code}]`);
  const first = await card('queue_full').getByTestId('countdown').innerText();
  expect(first).toMatch(/^There should be room in \d+ s\.$/);
  await expectLocator(card('queue_full').getByTestId('countdown')).not.toHaveText(first);
  await expectLocator(card('model_busy')).toContainText('“other model” has 1.00 GB of it (2 tabs, 1 answer running)');
  await card('invalid_request').getByTestId('remedy').click();
  await expectLocator(get('temperature')).toBeFocused();
  await show('failed: storage_failed');
  await get('remedy').click();
  await expectLocator(page.locator('#cache-title')).toBeFocused();
  await show('offline');
  await expectLocator(get('error')).toContainText('You are offline');
});

test('a long answer is followed until the reader scrolls up, and one button leads back', async () => {
  await open('long');
  const scroller = page.locator('.scroller');
  const distance = () => scroller.evaluate((each) => each.scrollHeight - each.clientHeight - each.scrollTop);
  await expect.poll(distance).toBeLessThan(64);
  await scroller.hover();
  await page.mouse.wheel(0, -3000);
  await page.getByRole('button', { name: 'Go to the end' }).click();
  await expect.poll(distance).toBeLessThan(64);
  await expectLocator(page.getByRole('button', { name: 'Go to the end' })).toHaveCount(0);
});

test('nothing moves where motion is not wanted', async () => {
  await open('streaming');
  await expect.poll(() => page.evaluate(() => document.getAnimations().filter(({ playState }) => playState === 'running').length)).toBe(0);
});
