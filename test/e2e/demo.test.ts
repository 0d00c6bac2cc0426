import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect as expectLocator } from 'playwright/test';
import { describe, expect, test } from 'vitest';
import { useDemo } from '../support/demo-fixture.ts';
import { DemoTab, launchChromium, launchProfile, TINY_PATH } from '../support/demo-site.ts';

const REASON = 'the hub is out of reach and pip is not there';

const demo = useDemo(REASON);

const openTiny = (): Promise<DemoTab> => demo.openTiny();

/** What is asked to find out whether there is a model, and whether it has changed. */
const PROBES: readonly (string | undefined)[] = ['bytes=0-0', 'bytes=0-63'];

const modelDownloads = (): number =>
  demo.site.log.filter(({ url, range, status }) => url.endsWith('.gguf') && !PROBES.includes(range) && status < 300).length;

describe('a conversation', () => {
  test('streams an answer, shows its times, and takes a follow-up', async () => {
    const tab = await demo.openWarm();
    await tab.limitTokens(96);
    await tab.ask('Tell me about the machine.');
    const answer = tab.get('answer').last();
    await answer.evaluate((element) => {
      const lengths = ((globalThis as { lengths?: Set<number> }).lengths = new Set());
      new MutationObserver(() => lengths.add(element.textContent.length)).observe(element, { childList: true, characterData: true, subtree: true });
    });
    const first = await tab.answered();
    const lengths = await tab.page.evaluate(() => [...((globalThis as { lengths?: Set<number> }).lengths ?? [])]);
    expect(lengths.filter((length) => length > 0 && length < first.length).length).toBeGreaterThan(1);
    expect(first.length).toBeGreaterThan(96);
    expect(await tab.text('metric-ttft')).toMatch(/^\d[\d.]*\s*m?s$/);
    expect(await tab.text('metric-tps')).toMatch(/^\d[\d.]*k?\s*tok\/s$/);
    expect(await tab.text('answer-stats')).toMatch(/to first token.*tok\/s.*96 tokens/s);

    await tab.ask('And what did the people say?');
    await tab.answered();
    await expectLocator(tab.get('question')).toHaveCount(2);
    await expectLocator(tab.get('answer')).toHaveCount(2);
    expect(await tab.get('answer').first().innerText()).toBe(first);
    expect(await tab.get('error').count()).toBe(0);
    expect(tab.complaints).toEqual([]);
  });

  test('stops when asked, keeps the text, and frees the engine', async () => {
    const tab = await demo.openWarm();
    await tab.limitTokens(1900);
    await tab.ask('Talk for a long time.');
    await tab.page.locator('.answer[data-state=streaming]').waitFor();
    await tab.page.keyboard.press('Escape');
    const text = await tab.answered();
    expect(text).not.toBe('');
    await expectLocator(tab.page.locator('.end-note')).toHaveText('Stopped');
    await expectLocator(tab.get('metric-running')).toHaveText('0');
    await tab.page.waitForTimeout(500);
    expect(await tab.text('answer')).toBe(text);
  });

  test('a new chat is empty, and a prompt that is too long is told in words', async () => {
    const tab = await demo.openWarm();
    await tab.ask('word '.repeat(4000));
    await tab.answered();
    await expectLocator(tab.get('error')).toHaveAttribute('data-code', 'context_length_exceeded');
    await tab.get('new-chat').click();
    await expectLocator(tab.get('answer')).toHaveCount(0);
    await tab.limitTokens(8);
    await tab.ask('Hello');
    await tab.answered();
    expect(await tab.text('answer-stats')).toContain('8 tokens');
  });

  test('survives a reload', async () => {
    const tab = await demo.openWarm();
    await tab.limitTokens(16);
    await tab.ask('Hello');
    const answer = await tab.answered();
    await tab.page.reload();
    await tab.ready();
    expect(await tab.text('answer')).toBe(answer);
    await tab.ask('Go on.');
    expect(await tab.answered()).not.toBe('');
  });

  test('goes on with an answer that a reload ended, to the text that it would have been', async () => {
    const tab = await demo.openWarm();
    await tab.page.goto(tab.page.url().replace('temperature=0', 'temperature=1'));
    await tab.ready();
    await tab.get('sampling').locator('summary').click();
    await tab.get('setting-seed').fill('5');
    await tab.limitTokens(300);
    await tab.ask('Hello');
    const whole = await tab.answered();
    await tab.get('new-chat').click();
    await tab.ask('Hello');
    await tab.page.locator('.answer[data-state=streaming]').waitFor();
    await tab.page.reload();
    await tab.ready();
    await expectLocator(tab.page.locator('.answer')).toHaveAttribute('data-state', 'stopped');
    const begun = await tab.text('answer');
    expect(begun.length).toBeLessThan(whole.length);
    await tab.get('continue').click();
    await expectLocator(tab.get('continue')).toHaveCount(0);
    expect(await tab.answered()).toBe(whole);
    expect(await tab.text('answer-stats')).toContain('300 tokens');
  });
});

// The browser is closed in between, so that no worker can have kept the model.
test('a second visit is served from the cache', async () => {
  const profile = mkdtempSync(join(tmpdir(), 'tabserve-profile-'));
  const downloads: number[] = [];
  for (let visit = 0; visit < 2; visit++) {
    demo.site.log.length = 0;
    const own = await launchProfile(profile);
    const tab = await DemoTab.open(own, `${demo.site.url}/?model=${TINY_PATH}`);
    await tab.ready();
    await own.close();
    expect(demo.site.log.some(({ url }) => url === '/models/index.json')).toBe(true);
    downloads.push(modelDownloads());
  }
  rmSync(profile, { recursive: true, force: true });
  expect(downloads).toEqual([expect.toSatisfy((count: number) => count > 0), 0]);
});

describe('several tabs', () => {
  test('ask at once and both finish', async () => {
    const [one, two] = [await openTiny(), await openTiny()];
    for (const tab of [one, two]) await tab.limitTokens(400);
    await Promise.all([one.ask('The first question.'), two.ask('The second question.')]);
    await expectLocator(two.get('metric-running')).toHaveText('2', { timeout: 30_000 });
    await expectLocator(two.get('metric-sessions')).toHaveText('2');
    const [first, second] = await Promise.all([one.answered(), two.answered()]);
    expect(first.length).toBeGreaterThan(400);
    expect(second.length).toBeGreaterThan(400);
    expect(await one.text('answer-stats')).toContain('400 tokens');
    expect(await two.text('answer-stats')).toContain('400 tokens');
  });

  test('a closed tab’s request ends, and its blocks are freed', async () => {
    const [leaving, staying] = [await openTiny(), await openTiny()];
    await leaving.limitTokens(1900);
    await leaving.ask('Talk until the tab is closed.');
    await expectLocator(staying.get('metric-running')).toHaveText('1');
    await expectLocator(staying.get('metric-kv')).toHaveText(/^[1-9]/);
    await leaving.page.close();
    await expectLocator(staying.get('metric-running')).toHaveText('0');
    await expectLocator(staying.get('metric-kv')).toHaveText(/^0 \//);
    await expectLocator(staying.get('metric-sessions')).toHaveText('1');
    await staying.limitTokens(8);
    await staying.ask('Are you there?');
    await staying.answered();
    expect(await staying.text('answer-stats')).toContain('8 tokens');
  });
});

describe('without the default model', () => {
  test('the page says why, and the babbling model proves the GPU path', async () => {
    const tab = await DemoTab.open(demo.context, `${demo.site.url}/?temperature=0`);
    await expectLocator(tab.get('no-default-model')).toContainText(REASON);
    await expectLocator(tab.get('model-babble')).toContainText('Random weights: babble');
    await tab.get('model-babble').press('Enter');
    await tab.ready();
    await expectLocator(tab.get('prompt')).toBeFocused();
    await expectLocator(tab.get('babble')).toBeVisible();
    await tab.limitTokens(12);
    await tab.ask('Hello');
    expect(await tab.answered()).toMatch(/[a-z]{2}/i);
    expect(new URL(tab.page.url()).searchParams.get('model')).toBe('babble.gguf');
  });

  test('a file of the user’s loads, by the button', async () => {
    const tab = await DemoTab.open(demo.context, `${demo.site.url}/?temperature=0`);
    await tab.get('model-file').setInputFiles(`${demo.distDir}/babble.gguf`);
    await tab.ready();
    await tab.limitTokens(8);
    await tab.ask('Hello');
    await tab.answered();
    expect(await tab.text('answer-stats')).toContain('8 tokens');
  });

  test('a model that is not there is told in words, and another can be chosen', async () => {
    const tab = await DemoTab.open(demo.context, `${demo.site.url}/?model=/models/missing.gguf`);
    await expectLocator(tab.get('error')).toHaveAttribute('data-code', 'model_not_found', { timeout: 60_000 });
    await tab.get('model-url').fill(TINY_PATH);
    await tab.get('model-load').click();
    await tab.ready();
  });
});

/** What a model might write to do harm. */
const HOSTILE = `<img src="https://example.com/a.png" onerror="document.title='owned'"><script>document.title='owned'</script>

![cat](https://example.com/b.png) [link](https://example.com/) [trap](javascript:document.title='owned')

\`\`\`js
const a = '<b>';
\`\`\`
`;

test('Markdown of a model’s is shown, never obeyed', async () => {
  const asked = new Set<string>();
  demo.context.on('request', (request) => asked.add(new URL(request.url()).origin));
  await demo.context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const turns = [{ role: 'user', id: '1', content: '<b>me</b>' }, { role: 'assistant', id: '2', content: HOSTILE, state: { kind: 'done' } }];
  await demo.context.addInitScript((json) => sessionStorage.setItem('tabserve.conversation', json), JSON.stringify(turns));
  const tab = await DemoTab.open(demo.context, demo.site.url);
  const answer = tab.get('answer');
  await expectLocator(answer).toContainText('<img src="https://example.com/a.png"');
  await expectLocator(tab.get('question')).toHaveText('<b>me</b>');
  expect(await answer.locator('img, script, iframe, [onerror]').count()).toBe(0);
  const links = await answer.locator('a').evaluateAll((all) => all.map((a) => [a.getAttribute('href'), a.getAttribute('target'), a.getAttribute('rel')]));
  const safe = ['_blank', 'noopener noreferrer nofollow'];
  expect(links).toEqual([['https://example.com/b.png', ...safe], ['https://example.com/', ...safe], [null, ...safe]]);
  await answer.getByRole('button', { name: 'Copy' }).click();
  expect(await tab.page.evaluate(() => navigator.clipboard.readText())).toBe("const a = '<b>';");
  expect(await tab.page.title()).not.toBe('owned');
  expect([...asked]).toEqual([demo.site.url]);
});

describe('the page', () => {
  test('asks nobody but its own server', async () => {
    const asked = new Set<string>();
    demo.context.on('request', (request) => asked.add(new URL(request.url()).origin));
    await openTiny();
    expect([...asked]).toEqual([demo.site.url]);
  });

  test('fits a phone, in light and dark', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const tab = await demo.openWarm();
      await tab.page.setViewportSize({ width: 360, height: 740 });
      await tab.page.emulateMedia({ colorScheme });
      await tab.get('prompt').fill('Hello');
      await tab.get('send').click();
      await tab.get('answer').waitFor();
      // On both sides: what is too wide may have been scrolled to.
      const outside = await tab.page.evaluate(() => [...document.querySelectorAll('body *')].filter((element) => {
        const { left, right } = element.getBoundingClientRect();
        return left < -0.5 || right > innerWidth + 0.5;
      }).map((element) => element.outerHTML.slice(0, 80)));
      expect(outside).toEqual([]);
      const paper = await tab.page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
      expect(paper).toBe(colorScheme === 'dark' ? 'rgb(15, 18, 17)' : 'rgb(250, 250, 247)');
    }
  });

  test('says how to switch WebGPU on, where it is off', async () => {
    await demo.context.addInitScript(() => Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined }));
    const tab = await DemoTab.open(demo.context, demo.site.url);
    await expectLocator(tab.get('unsupported')).toContainText('webgpu_unavailable');
    await expectLocator(tab.get('unsupported')).toContainText('WebGPU is switched off in this browser');
    await expectLocator(tab.get('unsupported')).not.toContainText('Update it'); // it has what is needed
  });

  test('says that there is no GPU, and not that there is no WebGPU, where the browser has no adapter', async () => {
    const plain = await launchChromium(['--no-sandbox', '--disable-gpu', '--disable-software-rasterizer']);
    try {
      const tab = await DemoTab.open(await plain.newContext(), `${demo.site.url}/?model=${TINY_PATH}`);
      await expectLocator(tab.get('unsupported')).toContainText('This browser offers no GPU', { timeout: 60_000 });
      await expectLocator(tab.get('unsupported')).not.toContainText(/no WebGPU|not available|Update it/);
      await expectLocator(tab.get('model-status')).toContainText('no GPU');
      await expectLocator(tab.get('try-again')).toBeVisible();
    } finally {
      await plain.close();
    }
  });
});
