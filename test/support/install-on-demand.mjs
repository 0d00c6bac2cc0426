// @ts-check
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Installs a package of this repository that `npm ci` leaves out, unless it is there.
 *
 * @param {string} folder below test/
 * @param {readonly string[]} args npm's: `ci` where there is a lock file
 * @returns {string | undefined} why it could not be; undefined: it is there
 */
export function installOnDemand(folder, args) {
  const path = fileURLToPath(new URL(`../${folder}/`, import.meta.url));
  if (existsSync(`${path}node_modules`)) return undefined;
  console.error(`Installing test/${folder}.`);
  const { status } = spawnSync('npm', ['--prefix', path, ...args, '--no-audit', '--no-fund'], {
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  return status === 0 ? undefined : `npm could not install test/${folder}`;
}
