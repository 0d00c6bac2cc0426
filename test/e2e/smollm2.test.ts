import { expect, test } from 'vitest';
import { CHROMIUM_ARGS } from '../support/chromium.ts';
import { defaultModel } from '../support/default-model.ts';
import { demoBuild, DemoTab, launchChromium, startDemoSite } from '../support/demo-site.ts';
import { PackageTab, startPackageSite } from '../support/package-site.ts';
import { SMOLLM2_GOLDENS } from '../support/smollm2-goldens.ts';

// The closest step of this answer is won by 0.08 of a logit: an engine that rounds too much says something else.
test('SmolLM2-135M-Instruct, the demo’s default, knows the capital of France', async ({ skip }) => {
  const model = await defaultModel();
  if (!model.available) return skip(model.reason);
  const site = await startDemoSite(await demoBuild(), model);
  const browser = await launchChromium(CHROMIUM_ARGS);
  try {
    const tab = await DemoTab.open(await browser.newContext(), `${site.url}/?temperature=0`);
    await tab.ready(240_000);
    await tab.ask('What is the capital of France?');
    expect(await tab.answered(240_000)).toBe('The capital of France is Paris.');
    expect(await tab.text('metric-ttft')).toMatch(/^\d/);
    expect(await tab.text('metric-tps')).toMatch(/^\d/);
    expect(tab.complaints).toEqual([]);
  } finally {
    await browser.close();
    await site.close();
  }
});

const golden = (name: string) => {
  const found = SMOLLM2_GOLDENS.prompts.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no golden ${name}`);
  return found;
};

// Alone, each of these chats gets llama.cpp's text (npm run test:smollm2): so does it in company.
test('four tabs ask SmolLM2 at once: each gets its own answer, and what all begin with is computed once', async ({ skip }) => {
  const model = await defaultModel();
  if (!model.available) return skip(model.reason);
  const site = await startPackageSite();
  const browser = await launchChromium(CHROMIUM_ARGS);
  try {
    const context = await browser.newContext();
    const path = site.addModel('smollm2.gguf', model.path);
    const chats = ['capital', 'sum', 'translation', 'control-tokens-as-text'].map(golden);
    const tabs: PackageTab[] = [];
    for (const _ of chats) tabs.push(await PackageTab.open(context, site));
    await Promise.all(tabs.map((tab) => tab.load({ model: path })));
    await Promise.all(tabs.map((tab, i) => tab.ask('own', chats[i]?.messages ?? [])));
    expect(await Promise.all(tabs.map((tab) => tab.answered('own')))).toEqual(chats.map(({ text }) => text));

    const system = { role: 'system', content: golden('long').messages[0]?.content ?? '' } as const;
    const ask = (tab: PackageTab, content: string) => tab.ask('shared', [system, { role: 'user', content }], { max_tokens: 1 });
    const looked = async () => tabs[0]?.call<{ prefixCacheQueries: number; prefixCacheHits: number }>('metrics()');
    const before = await looked();
    await Promise.all(tabs.map((tab, i) => ask(tab, `Who is number ${i}?`)));
    await Promise.all(tabs.map((tab) => tab.answered('shared')));
    const usages = await Promise.all(tabs.map(async (tab) => (await tab.answer('shared')).usage));
    const after = await looked();
    const longest = Math.max(...usages.map((usage) => usage?.prompt_tokens ?? 0));
    expect(longest).toBeGreaterThan(480);
    const asked = (after?.prefixCacheQueries ?? 0) - (before?.prefixCacheQueries ?? 0);
    const found = (after?.prefixCacheHits ?? 0) - (before?.prefixCacheHits ?? 0);
    expect(asked).toBeGreaterThan(4 * 480);
    expect(asked - found).toBeLessThan(longest + 3 * 32); // computed once
    // A tab is not told that it was another which had asked.
    for (const usage of usages) expect(usage?.prompt_tokens_details.cached_tokens).toBeLessThan(32);
  } finally {
    await browser.close();
    await site.close();
  }
});
