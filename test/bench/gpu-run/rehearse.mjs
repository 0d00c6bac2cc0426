// @ts-check
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setUpDawn } from '../../support/dawn-setup.mjs';

const EXIT_NO_GPU = 3;

/**
 * Runs a packed folder twice in an empty folder with an environment of nothing but SwiftShader's driver: as on a machine whose
 * GPU is not found, and with its tiny sizes.
 *
 * @param {string} packed
 * @returns {number} the exit code: 0 where the first run refused, and the second had lines of every part and no failure
 */
export function rehearse(packed) {
  const { VK_ICD_FILENAMES = '' } = setUpDawn('swiftshader');
  const folder = mkdtempSync(join(tmpdir(), 'tabserve-rehearsal-'));
  try {
    mkdirSync(join(folder, 'cwd'));
    for (const file of ['run.sh', 'gpu-run.tar.xz']) copyFileSync(join(packed, file), join(folder, file));
    const run = (/** @type {string[]} */ ...args) => {
      const { status } = spawnSync('/usr/bin/env', ['-i', `VK_ICD_FILENAMES=${VK_ICD_FILENAMES}`, 'sh', '../run.sh', ...args], {
        cwd: join(folder, 'cwd'), stdio: ['ignore', 'inherit', 'inherit'],
      });
      return status;
    };
    const refused = run('--json', 'refused.jsonl');
    if (refused !== EXIT_NO_GPU) console.error(`Without --allow-software it exits with ${refused} on a software adapter, not ${EXIT_NO_GPU}.`);
    const status = run('--json', 'lines.jsonl', '--allow-software');
    const missing = missingParts(readFileSync(join(folder, 'cwd', 'lines.jsonl'), 'utf8'));
    if (missing.length > 0) console.error(`There is no result of ${missing.join(', ')}.`);
    return refused === EXIT_NO_GPU && status === 0 && missing.length === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The parts of a run of which its file has no result.
 * @param {string} text JSON Lines */
export function missingParts(text) {
  const lines = text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line));
  /** @type {readonly string[]} */
  const asked = lines.find(({ kind }) => kind === 'head')?.options.parts ?? ['all'];
  const found = new Set(lines.filter(({ kind }) => ['row', 'check', 'facts'].includes(kind)).map(({ part }) => part));
  return [...asked.filter((part) => !found.has(part)), ...(lines.at(-1)?.kind === 'end' ? [] : ['the end'])];
}
