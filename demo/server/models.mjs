// @ts-check
import { dirname } from 'node:path';
import { DEFAULT_MODEL } from './model-spec.mjs';
import { notFound, sendFile, sendJson } from './send-file.mjs';

/**
 * @typedef {object} ModelsOptions
 * @property {string} modelsDir
 * @property {import('./fetch-model.mjs').FetchResult} model what came of fetching the default model
 * @property {import('./model-spec.mjs').ModelSpec} [spec] which model that is
 */

/**
 * Answers requests under /models/: the index, and GGUF files. The default model's file only when it was checked; what
 * is unfinished never.
 *
 * @param {string} name URL-encoded, what follows /models/
 * @param {import('./send-file.mjs').Request} request
 * @param {import('./send-file.mjs').Response} response
 * @param {ModelsOptions} options
 */
export function serveModel(name, request, response, { model, modelsDir, spec = DEFAULT_MODEL }) {
  if (name === 'index.json') return sendJson(response, modelIndex(model, spec));
  const file = decoded(name);
  if (file === undefined || !/^[^/\\]+\.gguf$/.test(file)) return notFound(response);
  // The page keeps models in a storage of its own; the browser's HTTP cache would hold them a second time.
  response.setHeader('Cache-Control', 'no-store');
  // File systems of macOS and Windows find it in any case.
  if (file.toLowerCase() !== spec.file.toLowerCase()) return sendFile(request, response, modelsDir, name);
  if (!model.available || file !== spec.file) return notFound(response);
  response.setHeader('ETag', `"${spec.sha256}"`);
  return sendFile(request, response, dirname(model.path), name);
}

/** @param {string} name URL-encoded
 * @returns {string | undefined} undefined where it cannot be decoded */
function decoded(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return undefined;
  }
}

/** What a host without models of its own says: the default one is the hub's, at the commit that was checked. */
export function hubIndex() {
  const { name, repo, file, revision, bytes, license } = DEFAULT_MODEL;
  return { default: { available: true, name, url: `hf:${repo}/${file}@${revision}`, bytes, license } };
}

/**
 * What the page asks for first.
 *
 * @param {ModelsOptions['model']} model
 * @param {import('./model-spec.mjs').ModelSpec} spec
 */
function modelIndex(model, spec) {
  if (!model.available) return { default: { available: false, reason: model.reason } };
  const { name, bytes, license } = spec;
  return { default: { available: true, name, url: `/models/${encodeURIComponent(spec.file)}`, bytes, license } };
}
