// @ts-check
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installOnDemand } from '../support/install-on-demand.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Lets Stryker make every small change of some sources, each alone. Its report is in test/.results/stryker.
 * @param {readonly string[]} files of the pure parts of src; none: all of them
 * @returns {number} the exit code: 1 where tests notice too few of the changes */
export function runStryker(files) {
  const fault = installOnDemand('mutations', ['ci', '--legacy-peer-deps']); // vitest is the repository's
  if (fault !== undefined) throw new Error(`${fault}; see above.`);
  const bin = join(ROOT, 'test/mutations/node_modules/@stryker-mutator/core/bin/stryker.js');
  const only = files.length === 0 ? [] : ['--mutate', files.join()];
  const { status } = spawnSync(process.execPath, [bin, 'run', 'test/mutations/stryker.config.mjs', ...only], { cwd: ROOT, stdio: 'inherit' });
  return status ?? 1;
}
