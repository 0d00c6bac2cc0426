// @ts-check
import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { existsSync } from 'node:fs';
import { findChromium, runs } from './find-chromium.mjs';

/** System package managers, each with the commands that install Chromium (and fonts, so that pages have glyphs). */
const PACKAGE_MANAGERS = [
  {
    name: 'apt-get',
    commands: [['update'], ['install', '-y', '--no-install-recommends', 'chromium', 'fonts-liberation']],
  },
  { name: 'dnf', commands: [['install', '-y', 'chromium']] },
  { name: 'apk', commands: [['add', '--no-cache', 'chromium']] },
  { name: 'pacman', commands: [['-Sy', '--noconfirm', 'chromium']] },
];

/**
 * A browser to test in: an installed one, else Playwright's, else the system's package, else undefined. Prints its path
 * and the outcome of the installation.
 *
 * @returns {string | undefined} its path
 */
export function findOrInstallChromium() {
  const found = findChromium(process.env, runs);
  if (found !== undefined) return found;
  if (process.env['CHROME_PATH']) {
    console.error(`CHROME_PATH is ${process.env['CHROME_PATH']}, and no browser starts there.`);
    return undefined;
  }
  console.log('No Chrome or Chromium found: installing one.');
  return withPlaywright() ?? withPackageManager();
}

/** Playwright's own Chromium, with the system libraries it needs where the right to install them is there. */
function withPlaywright() {
  const npx = process.platform === 'win32' ? 'npx.cmd' : 'npx';
  const withDeps = process.platform === 'linux' && asRoot() !== undefined;
  // A packet filter that drops is worse than one that refuses: do not wait for it for ever.
  const options = { timeout: 600_000, env: { ...process.env, PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT: '15000' } };
  for (const extra of withDeps ? [['--with-deps'], []] : [[]]) {
    run([npx, '--no-install', 'playwright', 'install', ...extra, 'chromium'], options);
    const found = findChromium(process.env, runs);
    if (found !== undefined) return found;
  }
  return undefined;
}

function withPackageManager() {
  const prefix = asRoot();
  const manager = PACKAGE_MANAGERS.find(({ name }) => onPath(name));
  if (prefix === undefined || manager === undefined) return undefined;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const args of manager.commands) run([...prefix, manager.name, ...args], { env });
  return findChromium(process.env, runs);
}

/**
 * A prefix that runs a command as root without a password: none, sudo, or undefined where there is no way.
 * @returns {string[] | undefined}
 */
function asRoot() {
  if (process.getuid?.() === 0) return [];
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined;
}

/** @param {string[]} command
 * @param {import('node:child_process').SpawnSyncOptions} options */
function run([file = '', ...args], options) {
  console.log(`> ${[file, ...args].join(' ')}`);
  spawnSync(file, args, { stdio: ['ignore', 'inherit', 'inherit'], shell: process.platform === 'win32', ...options });
}

/** @param {string} name */
function onPath(name) {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)));
}
