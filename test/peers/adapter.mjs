// @ts-check

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
      return { name: [vendor, architecture, device, description], isFallbackAdapter };
    });
    if (info === undefined) return { name: 'none', isSoftware: true };
    const name = info.name.filter((part) => part !== '').join(' ');
    return { name, isSoftware: info.isFallbackAdapter || /swiftshader|llvmpipe|warp/i.test(name) };
  } finally {
    await page.close();
  }
}
