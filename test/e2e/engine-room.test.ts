import { expect as expectLocator } from 'playwright/test';
import { expect, test } from 'vitest';
import { useDemo } from '../support/demo-fixture.ts';
import { DemoTab, TINY_PATH } from '../support/demo-site.ts';

const demo = useDemo();

async function openTiny(numTokens: number, open = () => demo.openTiny()): Promise<DemoTab> {
  const tab = await open();
  await tab.limitTokens(numTokens);
  return tab;
}

/** Two questions that begin alike, over several blocks. */
const COMMON = 'Tell me all about the old machine in the harbour and its people. '.repeat(3);

const blocksOf = async (tab: DemoTab, testId: string): Promise<number> =>
  Number(await tab.get(testId).getAttribute('data-blocks'));

test('the picture of the block pool shows whose blocks are whose, and which are shared', async () => {
  const [one, two] = [await openTiny(400), await openTiny(400)];
  await one.ask(`${COMMON} First.`);
  await expectLocator(one.get('pool-request')).toHaveCount(1);
  await expectLocator(one.get('pool-request')).toHaveAttribute('data-own', 'true');
  await expectLocator(one.get('pool-request').locator('.pool-filled')).toHaveAttribute('d', /^M/);
  expect(await blocksOf(one, 'pool-shared')).toBe(0);
  await two.ask(`${COMMON} Second.`);
  await expectLocator(two.get('pool-request')).toHaveCount(2);
  const owners = await two.get('pool-request').evaluateAll((all) => all.map((each) => each.getAttribute('data-own')));
  expect(owners.toSorted()).toEqual(['false', 'true']);
  await expectLocator(two.get('pool-shared')).toHaveAttribute('d', /^M/);
  expect(await blocksOf(two, 'pool-shared')).toBeGreaterThan(2);
  await expectLocator(two.get('pool-legend')).toContainText(['Tab 1', 'this tab']);
  await expectLocator(two.get('metric-batch')).toHaveText(/^2 of \d/);

  // The first cell of a shared block tells who shares it; the legend is reached by the keyboard.
  // The settings are below, and were set; the panel's header covers what is scrolled under it.
  await two.get('pool-shared').evaluate((mark) => mark.scrollIntoView({ block: 'center' }));
  const box = await two.get('pool-shared').boundingBox();
  if (box === null) throw new Error('There is no mark.');
  await two.page.mouse.move(box.x + 2, box.y + 2);
  await expectLocator(two.get('pool-caption')).toContainText(/shared by Tab 1 and this tab/);
  await two.get('pool-legend').first().focus();
  await expectLocator(two.get('pool-caption')).toContainText(/[\d,]+ of [\d,]+ tokens computed/);

  await Promise.all([one.answered(), two.answered()]);
  await expectLocator(two.get('pool-request')).toHaveCount(0);
  await expectLocator(two.get('pool-kept')).toHaveAttribute('d', /^M/);
  await expectLocator(two.get('metric-prefix')).toHaveText(/^[1-9]\d* %$/);
  expect([...one.complaints, ...two.complaints]).toEqual([]);
});

test('the kernels are left as they are on a software adapter, and fitted to it where the address says so', async () => {
  const plain = await openTiny(4, () => demo.openWarm());
  await expectLocator(plain.get('tuning')).toHaveAttribute('data-state', 'off');
  await expectLocator(plain.get('tuning-count')).toHaveText(/^0 of \d+ tuned$/);
  await plain.page.close();

  const tab = await DemoTab.open(demo.context, `${demo.site.url}/?model=${TINY_PATH}&tuning=force`);
  await tab.ready();
  await expectLocator(tab.get('tuning-count')).toHaveText(/^[1-9]\d* of \d+ tuned, in .* of the GPU’s time$/, { timeout: 120_000 });
  await tab.get('tuning').locator('summary').click();
  // Which kernel gained most, and so stands first, is chance.
  const cells = tab.get('tuning-row').filter({ hasText: 'matmul-' }).first().locator('td');
  await expectLocator(cells).toHaveText([/^matmul-\S+$/, /^[1248]$/, /^(1|\d+\.\d\d)×$/]);
  await tab.ask('Hello');
  await tab.answered();
  expect(tab.complaints).toEqual([]);
});

test('a second tab is a click away, and has a conversation of its own', async () => {
  const tab = await openTiny(4);
  await tab.ask('Hello');
  await tab.answered();
  const [page] = await Promise.all([demo.context.waitForEvent('page'), tab.get('second-tab').click()]);
  const second = new DemoTab(page);
  await second.ready();
  expect(await second.get('question').count()).toBe(0);
  await expectLocator(second.get('metric-sessions')).toHaveText('2');
});

test('a profile of the next steps is a flame chart that the keyboard walks through, and leaves the answer alone', async () => {
  const tab = await openTiny(300, () => demo.openWarm());
  await tab.ask('Tell me all');
  const expected = await tab.answered();
  await tab.get('new-chat').click();
  await tab.get('profiler').locator('summary').click();
  await tab.get('profile').click();
  await expectLocator(tab.get('profile')).toHaveText('Waiting for an answer…');
  await tab.ask('Tell me all');
  await expectLocator(tab.get('profile-help')).toContainText('The mean of 8 decode steps');
  expect(await tab.answered()).toBe(expected);
  await expectLocator(tab.get('ceilings')).toContainText(/Reads.*GB\/s/s);
  // Which kernel takes longest, and so stands first, is chance; only some multiply. Of those here the first took time.
  const matmul = tab.get('profile-kernel').filter({ hasText: 'matmul' }).first();
  await expectLocator(matmul).toHaveAttribute('aria-label', /: [\d.]+ .?s, \d+ % of the step; .* GB\/s .* of the ceiling$/);

  await matmul.focus();
  await expectLocator(tab.get('kernel-figures')).toContainText('GFLOP/s');
  expect(await tab.page.locator('.flame .is-lit').count()).toBeGreaterThan(0);
  const part = (key: string) => tab.page.locator(`[data-testid=flame-part][data-key="${key}"]`);
  const parts = await tab.get('flame-part').count();
  expect(parts).toBeGreaterThan(12);
  // No part is wider than its time: those of a row do not overlap.
  const ends = await tab.page.locator('[data-testid=flame-part][aria-level="3"]').evaluateAll((all) =>
    all.map((each) => each.getBoundingClientRect()).map(({ left, right }) => [left, right]),
  );
  for (const [i, [left = 0]] of ends.entries()) expect(left).toBeGreaterThanOrEqual((ends[i - 1]?.[1] ?? 0) - 0.1);
  await part('0').focus();
  for (const key of ['ArrowDown', 'ArrowRight']) await tab.page.keyboard.press(key);
  await expectLocator(part('0.1')).toBeFocused();
  await expectLocator(tab.get('flame-caption')).toHaveText(/^Layer 1: [\d.]+ .?s, \d+ %$/);
  await tab.page.keyboard.press('Enter');
  await expectLocator(part('0.2')).toHaveCount(0);
  const width = (key: string) => part(key).evaluate((element) => element.getBoundingClientRect().width);
  await expect.poll(async () => (await width('0.1')) / (await width('0'))).toBeCloseTo(1);
  await tab.page.keyboard.press('ArrowDown');
  await expectLocator(tab.get('flame-caption')).toContainText(/^\S+ in layer 1: /);
  await tab.page.keyboard.press('Escape');
  await expectLocator(tab.get('flame-part')).toHaveCount(parts);
  await expectLocator(part('0.1')).toBeFocused();
  expect(tab.complaints).toEqual([]);
});

test.each([
  ['Crash the GPU', 'device_lost', 'The GPU device was destroyed'],
  ['Kill the worker', 'worker_died', 'The browser ended the worker'],
])('“%s” in the middle of two answers changes neither', async (_label, fault, cause) => {
  const [one, two] = [await openTiny(300), await openTiny(300)];
  await one.ask('What does the machine say?');
  const expected = await one.answered();
  await one.get('new-chat').click();

  await two.ask('What does the machine say?');
  await one.ask('What does the machine say?');
  for (const tab of [one, two]) await tab.page.locator('.answer[data-state=streaming]').waitFor();
  await one.get('developer').locator('summary').click();
  await one.get(`fault-${fault}`).click();
  const seen = expectLocator(one.get('recovery')).toContainText(cause);
  await expectLocator(one.get('recovery')).toHaveAttribute('data-state', 'back', { timeout: 60_000 });
  await seen.catch((error: unknown) => {
    throw new Error('The banner did not say why.', { cause: error });
  });
  expect((await one.text('answer')).length).toBeLessThan(expected.length);
  for (const tab of [one, two]) {
    expect(await tab.answered()).toBe(expected);
    expect(await tab.text('answer-stats')).toContain('300 tokens');
    expect(await tab.get('error').count()).toBe(0);
    await expectLocator(tab.get('recovery')).toHaveCount(0, { timeout: 20_000 });
  }
  await expectLocator(one.get('model-status')).toContainText('ready');
});
