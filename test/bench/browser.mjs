// @ts-check
import { chromium } from 'playwright';
import { importTypeScript } from '../oracle/typescript.mjs';
import { findOrInstallChromium } from '../support/install-chromium.mjs';

/** @typedef {Pick<import('./options.mjs').Options, 'adapter' | 'channel' | 'headed'>} BrowserOptions */

/**
 * A browser with the adapter asked for; by default with a hardware adapter if it has one, else with SwiftShader. Ctrl-C is
 * left to the caller.
 *
 * @param {BrowserOptions} options
 * @throws Error where there is none
 */
export async function launchBrowser({ adapter, channel, headed }) {
  const binary = channel === undefined ? { executablePath: requireChromium() } : { channel };
  /** @type {{ CHROMIUM_ARGS: readonly string[] }} */
  const { CHROMIUM_ARGS } = await importTypeScript('test/support/chromium.ts');
  const others = CHROMIUM_ARGS.filter((arg) => !arg.startsWith('--use-webgpu-adapter'));
  const open = (/** @type {string} */ name) => {
    const own =
      name === 'hardware'
        ? ['--ignore-gpu-blocklist', ...(process.platform === 'linux' ? ['--enable-features=Vulkan'] : [])]
        : [`--use-webgpu-adapter=${name}`];
    const signals = { handleSIGINT: false, handleSIGTERM: false };
    return chromium.launch({ ...binary, ...signals, headless: !headed, args: [...others, ...own] });
  };
  if (adapter !== undefined) return open(adapter);
  const browser = await open('hardware');
  if (await hasHardware(browser)) return browser;
  await browser.close();
  return open('swiftshader');
}

function requireChromium() {
  const path = findOrInstallChromium();
  if (path === undefined) throw new Error('There is no Chrome or Chromium, and none could be installed.');
  return path;
}

/** @param {import('playwright').Browser} browser */
async function hasHardware(browser) {
  const page = await browser.newPage();
  // A page that WebGPU trusts, without a server.
  await page.route('**', (route) => route.fulfill({ body: '<!doctype html>', contentType: 'text/html' }));
  await page.goto('http://localhost/');
  const found = await page.evaluate(async () => {
    const adapter = await navigator.gpu?.requestAdapter();
    return adapter !== null && adapter !== undefined && !adapter.info.isFallbackAdapter && adapter.info.architecture;
  });
  await page.close();
  return typeof found === 'string' && found !== 'swiftshader' && found !== 'llvmpipe';
}
