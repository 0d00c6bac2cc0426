// @ts-check
import { importTypeScript } from '../oracle/typescript.mjs';

/**
 * What pages of this browser get as their GPU.
 *
 * @param {import('playwright').Browser} browser
 * @param {string} origin one that WebGPU trusts
 * @returns {Promise<{ name: string, isSoftware: boolean }>}
 */
export async function describeAdapter(browser, origin) {
  const page = await browser.newPage();
  try {
    await page.route('**/adapter', (route) => route.fulfill({ body: '<!doctype html>', contentType: 'text/html' }));
    await page.goto(`${origin}/adapter`);
    const info = await page.evaluate(async () => {
      const adapter = await navigator.gpu?.requestAdapter();
      if (adapter === null || adapter === undefined) return undefined;
      const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
      return { vendor, architecture, device, description, isFallbackAdapter };
    });
    if (info === undefined) return { name: 'none', isSoftware: true };
    const { vendor, architecture, device, description } = info;
    const name = [vendor, architecture, device, description].filter((part) => part !== '').join(' ');
    const { summarizeAdapter } = await importTypeScript('src/gpu/adapter-summary.ts');
    return { name, isSoftware: summarizeAdapter({ info }, false).isSoftware };
  } finally {
    await page.close();
  }
}
