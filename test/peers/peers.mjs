// @ts-check
import { basename } from 'node:path';
import { BrowserPeer } from './browser-peer.mjs';
import { LlamaCppPeer } from './llama-cpp.mjs';
import { makeOnnx } from './onnx-graph.mjs';

/** Their names, in the order in which each round asks them. */
export const ENGINES = ['tabserve', 'wllama', 'llama.cpp', 'onnxruntime', 'webllm', 'language-model'];

/** Pages whose engines have threads in WebAssembly, which need a cross-origin isolated site. */
const THREADED = ['wllama', 'onnxruntime'];

/**
 * Graphs of `onnx-graph.mjs` that ONNX Runtime is asked with. A quick run leaves out the one that is there for its exact
 * weights: it takes minutes on a software adapter.
 *
 * @param {boolean} quick
 * @returns {readonly { backend: import('./peer.ts').Backend, weights: 'q4' | 'q8' | 'int8' }[]}
 */
function graphs(quick) {
  return [
    { backend: 'webgpu', weights: 'q4' },
    ...(quick ? [] : [/** @type {const} */ ({ backend: 'webgpu', weights: 'q8' })]),
    { backend: 'wasm', weights: 'int8' },
  ];
}

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
 * @property {boolean} quick
 */

/**
 * The engines that are asked, each on each backend and with the weights that it is at its best with.
 *
 * @param {Setup} setup
 * @param {readonly string[]} engines
 * @returns {import('./measure.mjs').Entry[]}
 */
export function makePeers(setup, engines) {
  const { model, twin, threads, maxRequests, maxTokensEach, warmUp } = setup;
  const native = (/** @type {string} */ modelPath) => {
    return new LlamaCppPeer({ modelPath, threads, maxRequests, maxTokensEach, warmUp });
  };
  const q4 = weightsOf(model);
  const q8 = weightsOf(twin);
  /** @type {import('./measure.mjs').Entry[]} */
  const all = [
    { engine: 'tabserve', backend: 'webgpu', weights: q4, peer: inPage(setup, 'tabserve', 'webgpu', model) },
    { engine: 'wllama', backend: 'wasm', weights: q4, peer: inPage(setup, 'wllama', 'wasm', model) },
    { engine: 'wllama', backend: 'wasm', weights: q8, peer: inPage(setup, 'wllama', 'wasm', twin) },
    { engine: 'wllama', backend: 'webgpu', weights: q4, peer: inPage(setup, 'wllama', 'webgpu', model) },
    { engine: 'llama.cpp', backend: 'native', weights: q4, peer: native(model) },
    { engine: 'llama.cpp', backend: 'native', weights: q8, peer: native(twin) },
    ...graphs(setup.quick).map(({ backend, weights }) => {
      const peer = inPage(setup, 'onnxruntime', backend, onnxPath(model, weights), true);
      return { engine: 'onnxruntime', backend, weights, peer };
    }),
    { engine: 'webllm', backend: 'webgpu', weights: 'unquantised', peer: inPage(setup, 'webllm', 'webgpu', model, true) },
  ];
  return all.filter(({ engine }) => engines.includes(engine));
}

/** Makes what the engines read and is not there yet, beside the model.
 * @param {string} model
 * @param {readonly string[]} engines
 * @param {boolean} quick */
export async function makeFiles(model, engines, quick) {
  if (!engines.includes('onnxruntime')) return;
  for (const { weights } of graphs(quick)) await makeOnnx(model, onnxPath(model, weights), weights);
}

/** @param {string} model
 * @param {string} weights */
function onnxPath(model, weights) {
  return model.replace(/\.gguf$/, `.${weights}.onnx`);
}

/**
 * @param {Setup} setup
 * @param {string} page
 * @param {import('./peer.ts').Backend} backend
 * @param {string} modelPath
 * @param {boolean} [isSerial] whether it runs one request at a time
 */
function inPage({ browser, server, threads, maxRequests, maxTokensEach, warmUp }, page, backend, modelPath, isSerial = false) {
  const sharesTabs = page === 'tabserve';
  const origin = THREADED.includes(page) ? server.isolated : server.plain;
  const modelUrl = `${origin}/models/${encodeURIComponent(basename(modelPath))}`;
  const options = { backend, threads, maxRequests, maxTokensEach };
  return new BrowserPeer(browser, { page, origin, modelPath, modelUrl, options, sharesTabs, isSerial, warmUp });
}

/** As the file's name ends.
 * @param {string} path */
function weightsOf(path) {
  return /(Q\d_\w+)\.gguf$/.exec(path)?.[1] ?? basename(path);
}
