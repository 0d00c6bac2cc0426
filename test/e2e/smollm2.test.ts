import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { fetchModel } from '../../demo/server/fetch-model.mjs';
import { buildDemoOnce, DemoTab, launchChromium, startDemoSite } from '../support/demo-site.ts';

const MODELS = process.env['TABSERVE_MODELS_DIR'] ?? fileURLToPath(new URL('../../.models', import.meta.url));

// The closest step of this answer is won by 0.08 of a logit: an engine that rounds too much says something else.
test('SmolLM2-135M-Instruct, the demo’s default, knows the capital of France', async ({ skip }) => {
  const model = await fetchModel({ dir: MODELS });
  if (!model.available) return skip(model.reason);
  const dist = await buildDemoOnce();
  const site = await startDemoSite(dist.distDir, model);
  const browser = await launchChromium();
  try {
    const tab = await DemoTab.open(await browser.newContext(), site.url);
    await tab.ready(240_000);
    await tab.ask('What is the capital of France?');
    expect(await tab.answered(240_000)).toBe('The capital of France is Paris.');
    expect(await tab.text('metric-ttft')).toMatch(/^\d/);
    expect(await tab.text('metric-tps')).toMatch(/^\d/);
    expect(tab.complaints).toEqual([]);
  } finally {
    await browser.close();
    await site.close();
    dist.remove();
  }
});
