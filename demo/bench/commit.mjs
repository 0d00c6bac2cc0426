// @ts-check
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What a run writes itself. */
const RESULTS = ':(exclude)demo/bench/results';

/**
 * What is measured: the commit, and where other tracked files than results differ from it, `-dirty.` and a hash of how.
 *
 * @param {string} [cwd] the root of the repository
 * @returns {string} `unknown` without git
 */
export function describeCommit(cwd = ROOT) {
  const git = (/** @type {string[]} */ ...args) => {
    const { status, stdout } = spawnSync('git', args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 28 });
    return status === 0 ? stdout : undefined;
  };
  const commit = git('describe', '--always')?.trim();
  const difference = git('diff', 'HEAD', '--binary', '--', '.', RESULTS);
  if (commit === undefined || difference === undefined) return 'unknown';
  return difference === '' ? commit : `${commit}-dirty.${createHash('sha256').update(difference).digest('hex').slice(0, 8)}`;
}
