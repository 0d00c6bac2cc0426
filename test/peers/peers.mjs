// @ts-check
import { basename } from 'node:path';
import { BrowserPeer } from './browser-peer.mjs';
import { LlamaCppPeer } from './llama-cpp.mjs';

/** Their names, in the order in which each round asks them. */
export const ENGINES = ['tabserve', 'wllama', 'llama.cpp'];

/**
 * @typedef {object} Setup
 * @property {import('playwright').Browser} browser
 * @property {{ plain: string, isolated: string }} server
 * @property {string} model its path
 * @property {string} twin the path of its Q8_0 twin, beside it
 * @property {number} threads
 * @property {number} maxRequests
 * @property {number} maxTokensEach
 * @property {import('./peer.ts').PeerTask} warmUp
 */

/**
 * The engines that are asked, each on each backend and on each file that it is at its best with.
 *
 * @param {Setup} setup
 * @param {readonly string[]} engines
 * @returns {import('./measure.mjs').Entry[]}
 */
export function makePeers(setup, engines) {
  const { model, twin } = setup;
  const files = [
    { weights: weightsOf(model), path: model },
    { weights: weightsOf(twin), path: twin },
  ];
  /** @type {import('./measure.mjs').Entry[]} */
  const all = [
    { engine: 'tabserve', backend: 'webgpu', weights: weightsOf(model), peer: inPage(setup, 'tabserve', 'webgpu', model) },
    ...files.map(({ weights, path }) => {
      return /** @type {const} */ ({ engine: 'wllama', backend: 'wasm', weights, peer: inPage(setup, 'wllama', 'wasm', path) });
    }),
    { engine: 'wllama', backend: 'webgpu', weights: weightsOf(model), peer: inPage(setup, 'wllama', 'webgpu', model) },
    ...files.map(({ weights, path }) => {
      const { threads, maxRequests, maxTokensEach, warmUp } = setup;
      const peer = new LlamaCppPeer({ modelPath: path, threads, maxRequests, maxTokensEach, warmUp });
      return /** @type {const} */ ({ engine: 'llama.cpp', backend: 'native', weights, peer });
    }),
  ];
  return all.filter(({ engine }) => engines.includes(engine));
}

/**
 * @param {Setup} setup
 * @param {string} page
 * @param {import('./peer.ts').Backend} backend
 * @param {string} modelPath
 */
function inPage({ browser, server, threads, maxRequests, maxTokensEach, warmUp }, page, backend, modelPath) {
  const isTabserve = page === 'tabserve';
  const origin = isTabserve ? server.plain : server.isolated;
  const modelUrl = `${origin}/models/${encodeURIComponent(basename(modelPath))}`;
  const options = { backend, threads, maxRequests, maxTokensEach };
  return new BrowserPeer(browser, { page, origin, modelPath, modelUrl, options, sharesTabs: isTabserve, warmUp });
}

/** As the file's name ends.
 * @param {string} path */
function weightsOf(path) {
  return /(Q\d_\w+)\.gguf$/.exec(path)?.[1] ?? basename(path);
}
