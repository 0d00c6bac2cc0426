// @ts-check
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fetchModel } from '../../../demo/server/fetch-model.mjs';
import { setUpDawn } from '../../support/dawn-setup.mjs';
import { readResults, writeResults } from '../results.mjs';
import { packBench } from './pack.mjs';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * Packs the Dawn bench and runs it on an adapter. Where it wrote JSON Lines, results in the form that both suites share
 * are beside them at the end: FILE.json of FILE.jsonl.
 *
 * @param {string} adapter as of `npm test -- --dawn=ADAPTER`
 * @param {readonly string[]} args for the bench
 * @returns {Promise<number>} the exit code
 */
export async function runDawnBench(adapter, args) {
  const environment = setUpDawn(adapter);
  const command = `npm run bench -- ${[`--dawn=${adapter}`, ...args].join(' ')}`;
  const folder = mkdtempSync(join(tmpdir(), 'tabserve-bench-dawn-'));
  try {
    const bench = join(folder, 'bench.mjs');
    await packBench(bench);
    const { status } = spawnSync(process.execPath, [bench, ...(await withModel(args))], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...environment, TABSERVE_BENCH_COMMAND: command },
    });
    convert(args);
    return status ?? 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {readonly string[]} args */
function convert(args) {
  const { values } = parseArgs({ args: [...args], options: { json: { type: 'string' } }, strict: false });
  if (typeof values.json !== 'string' || !existsSync(values.json)) return;
  const results = `${values.json.replace(/\.jsonl$/, '')}.json`;
  if (results !== values.json) writeResults(results, readResults(values.json));
}

/** The default model's file is named where none is and it can be had; without it the bench says what it leaves out.
 * @param {readonly string[]} args */
async function withModel(args) {
  if (args.some((arg) => arg === '--model' || arg.startsWith('--model='))) return args;
  const dir = process.env['TABSERVE_MODELS_DIR'] ?? resolve(root, '.models');
  const fetched = await fetchModel({ dir, log: (line) => console.error(line), onProgress: () => {} });
  return fetched.available ? [...args, '--model', fetched.path] : args;
}
