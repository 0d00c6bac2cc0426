// @ts-check

/**
 * Why the browser's own model is not in the comparison.
 *
 * @param {import('playwright').Browser} browser
 * @param {string} origin
 * @returns {Promise<string>}
 */
export async function whyNoLanguageModel(browser, origin) {
  const page = await browser.newPage();
  try {
    await page.goto(`${origin}/tabserve.html`);
    /** @type {string | undefined} */
    const availability = await page.evaluate('globalThis.LanguageModel?.availability()');
    if (availability === undefined) return 'this browser has no LanguageModel';
    if (availability !== 'available') return `LanguageModel.availability() is "${availability}"`;
    return 'it is there, but answers with a model of its own, and takes neither token ids nor a number of tokens';
  } finally {
    await page.close();
  }
}
