// @ts-check
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';

const cwd = fileURLToPath(new URL('../..', import.meta.url));

/** What is measured: the commit, and where tracked files differ from it `-dirty.` and a hash of how; else `unknown`. */
export function describeCommit() {
  const described = git('describe', '--always', '--dirty')?.trim();
  if (described === undefined) return 'unknown';
  if (!described.endsWith('-dirty')) return described;
  return `${described}.${createHash('sha256').update(git('diff', 'HEAD') ?? '').digest('hex').slice(0, 8)}`;
}

/** What git prints; undefined where it fails.
 * @param {readonly string[]} args */
function git(...args) {
  const { status, stdout } = spawnSync('git', args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 28 });
  return status === 0 ? stdout : undefined;
}
