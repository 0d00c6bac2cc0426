// @ts-check
/**
 * `npm test`: finds or installs a browser, then type check, lint and every test project.
 *
 *     npm test                          everything
 *     npm run test:quick                type check, lint and the tests that need no browser
 *     npm test -- --project unit        arguments go to vitest; only the tests, without type check and lint
 *     npm test -- --dawn[=lavapipe]     the kernel tests in Node, on Dawn, instead of in Chromium
 *     npm test -- --project gpu --compatibility          the GPU tests on a device of WebGPU's compatibility mode
 *     npm run test:examples             the apps of docs/examples, with packages that npm installs (needs its registry)
 *     npm run test:smollm2              every golden chat with SmolLM2 itself (minutes, where there is no GPU); also -- --dawn
 *
 * Its last line is `N passed, N failed, N skipped`. A run that tests nothing fails.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setUpDawn } from './support/dawn-setup.mjs';
import { findOrInstallChromium } from './support/install-chromium.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const summaryFile = join(root, 'test', '.results', 'summary.json');

/** Arguments that choose other tests than `npm test` runs, and the variables that tell vite.config.ts.
 * @type {Readonly<Record<string, string>>} */
const SUITES = { '--smollm2': 'TABSERVE_SMOLLM2', '--examples': 'TABSERVE_EXAMPLES', '--compatibility': 'TABSERVE_COMPATIBILITY' };

process.chdir(root);
process.exitCode = main(process.argv.slice(2));

/** @param {string[]} args
 * @returns {number} the exit code */
function main(args) {
  const dawn = args.find((arg) => arg === '--dawn' || arg.startsWith('--dawn='));
  const isQuick = args.includes('--quick');
  const forVitest = [
    ...(isQuick ? ['--project', 'unit'] : []),
    ...args.filter((arg) => arg !== dawn && arg !== '--quick' && !(arg in SUITES)),
  ];
  /** @type {Record<string, string>} */
  const env = Object.fromEntries(args.flatMap((arg) => (arg in SUITES ? [[SUITES[arg], '1']] : [])));
  if (dawn !== undefined) {
    Object.assign(env, setUpDawn(dawn.split('=')[1] ?? 'swiftshader'));
  } else if (needsBrowser(forVitest)) {
    const browser = findOrInstallChromium();
    if (browser === undefined) return withoutBrowser();
    console.log(`Browser: ${browser}`);
    env['CHROME_PATH'] = browser;
  }
  const checks =
    args.length === 0 || isQuick
      ? [check('type check', 'typescript', 'tsc', []), check('lint', 'oxlint', 'oxlint', ['--deny-warnings'])]
      : [];
  return report(checks, runTests(forVitest, env));
}

/** Whether the projects chosen go beyond those that run in Node alone.
 * @param {string[]} args */
function needsBrowser(args) {
  const chosen = args.flatMap((arg, i) =>
    arg === '--project' ? [args[i + 1]] : arg.startsWith('--project=') ? [arg.slice(10)] : [],
  );
  return chosen.length === 0 || chosen.some((project) => project !== 'unit');
}

function withoutBrowser() {
  console.error(
    'No browser to test in, and none could be installed. Install Chrome or Chromium (Debian: apt-get install chromium), ' +
      'or set CHROME_PATH to one. The tests that need none: npm test -- --project unit',
  );
  console.log('0 passed, 1 failed, 0 skipped');
  return 1;
}

/**
 * @param {string} name
 * @param {string} dependency the npm package
 * @param {string} bin its command
 * @param {string[]} args
 */
function check(name, dependency, bin, args) {
  console.log(`\n${name}`);
  const passed = node(dependency, bin, args, {}) === 0;
  console.log(`${name}: ${passed ? 'passed' : 'FAILED'}`);
  return passed;
}

/** @param {string[]} args
 * @param {Record<string, string>} env */
function runTests(args, env) {
  rmSync(summaryFile, { force: true });
  const reporters = ['--reporter=default', '--reporter=./test/support/summary-reporter.ts'];
  const status = node('vitest', 'vitest', ['run', ...reporters, ...args], { ...env, TABSERVE_SUMMARY: summaryFile });
  /** @type {import('./support/summary-reporter.ts').Summary} */
  const none = { passed: 0, failed: 0, skipped: [] };
  const summary = existsSync(summaryFile) ? JSON.parse(readFileSync(summaryFile, 'utf8')) : none;
  return { status, summary: /** @type {typeof none} */ (summary) };
}

/** @param {boolean[]} checks
 * @param {ReturnType<typeof runTests>} tests */
function report(checks, { status, summary }) {
  for (const { name, reason } of summary.skipped) console.log(`SKIPPED ${name}: ${reason}`);
  const ran = summary.passed + summary.failed;
  if (ran === 0) console.error('No test ran.');
  let failed = summary.failed + checks.filter((passed) => !passed).length;
  // Whatever vitest failed for that is no test of its own (nothing ran, a crash, a bad argument) is one failure.
  if (failed === 0 && (status !== 0 || ran === 0)) failed = 1;
  const passed = summary.passed + checks.filter((ok) => ok).length;
  console.log(`\n${passed} passed, ${failed} failed, ${summary.skipped.length} skipped`);
  return failed === 0 ? 0 : 1;
}

/** Runs an installed package's command without a shell, so that it works alike on every system.
 * @param {string} dependency
 * @param {string} bin
 * @param {string[]} args
 * @param {Record<string, string>} env */
function node(dependency, bin, args, env) {
  const manifest = createRequire(import.meta.url).resolve(`${dependency}/package.json`);
  const file = JSON.parse(readFileSync(manifest, 'utf8')).bin[bin];
  const { status } = spawnSync(process.execPath, [join(dirname(manifest), file), ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
  });
  return status ?? 1;
}
