// @ts-check
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright';

/** Chrome's and Chromium's names on a PATH. */
const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];

/**
 * `CHROME_PATH`, else an installed Chrome or Chromium, else the one that Playwright keeps, else undefined.
 *
 * @param {NodeJS.ProcessEnv} [env]
 * @param {(path: string) => boolean} [usable]
 */
export function findChromium(env = process.env, usable = existsSync) {
  return candidates(env).find((path) => usable(path));
}

/** Whether it starts: Ubuntu's /usr/bin/chromium-browser may be a stub that only says what to install.
 * @param {string} path */
export function runs(path) {
  if (!existsSync(path)) return false;
  // Chrome on Windows opens a window when asked for its version.
  return (
    process.platform === 'win32' || spawnSync(path, ['--version'], { stdio: 'ignore', timeout: 30_000 }).status === 0
  );
}

/** @param {NodeJS.ProcessEnv} env
 * @returns {string[]} */
function candidates(env) {
  const chosen = env['CHROME_PATH'];
  // A CHROME_PATH that does not exist is a mistake to hear of, not to paper over with some other browser.
  if (chosen !== undefined && chosen !== '') return [chosen];
  return [...new Set([...installed(env), chromium.executablePath()])].filter((path) => path !== '');
}

/** @param {NodeJS.ProcessEnv} env
 * @returns {string[]} */
function installed(env) {
  if (process.platform === 'darwin') {
    return ['Google Chrome', 'Chromium'].flatMap((name) =>
      ['/Applications', join(env['HOME'] ?? '', 'Applications')].map((folder) =>
        join(folder, `${name}.app`, 'Contents', 'MacOS', name),
      ),
    );
  }
  if (process.platform === 'win32') {
    return ['PROGRAMFILES', 'PROGRAMFILES(X86)', 'LOCALAPPDATA'].flatMap((variable) =>
      ['Google\\Chrome', 'Chromium'].map((name) => join(env[variable] ?? '', name, 'Application', 'chrome.exe')),
    );
  }
  const folders = [...(env['PATH'] ?? '').split(':'), '/usr/bin', '/usr/local/bin', '/opt/google/chrome'];
  return folders.filter((folder) => folder !== '').flatMap((folder) => NAMES.map((name) => join(folder, name)));
}
