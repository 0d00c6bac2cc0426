import { expect, test } from 'vitest';
import { findChromium } from '../../support/find-chromium.mjs';

const only =
  (...there: string[]) =>
  (path: string): boolean =>
    there.includes(path);

test('CHROME_PATH decides, and one that is not there is not replaced by another browser', () => {
  const env = { CHROME_PATH: '/my/chrome', PATH: '/usr/bin' };
  expect(findChromium(env, only('/my/chrome', '/usr/bin/chromium'))).toBe('/my/chrome');
  expect(findChromium(env, only('/usr/bin/chromium'))).toBeUndefined();
});

test.runIf(process.platform === 'linux')('an installed browser comes before the one that Playwright keeps', () => {
  const env = { PATH: '/somewhere:/usr/bin' };
  expect(findChromium(env, only('/somewhere/google-chrome'))).toBe('/somewhere/google-chrome');
  expect(findChromium(env, (path) => path.includes('ms-playwright'))).toMatch(/chrom/i);
  expect(findChromium(env, (path) => path.includes('ms-playwright') || path === '/usr/bin/chromium')).toBe(
    '/usr/bin/chromium',
  );
  expect(findChromium(env, () => false)).toBeUndefined();
});
