// @ts-check
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { sendFile } from '../../demo/server/send-file.mjs';

const PACKAGES = fileURLToPath(new URL('node_modules', import.meta.url));

/** Cross-origin isolation, which threads in WebAssembly need. */
const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'cross-origin',
};

/**
 * Builds the engines' pages as apps would, and serves them with the models and the installed packages on two origins: one
 * as most sites are, one that is cross-origin isolated.
 *
 * @param {string} modelsDir
 * @param {string} version of tabserve
 * @returns {Promise<{ plain: string, isolated: string, close(): Promise<void> }>}
 */
export async function startPeerServer(modelsDir, version) {
  const folder = mkdtempSync(join(tmpdir(), 'tabserve-peers-'));
  await buildPages(folder, version);
  const roots = { models: modelsDir, packages: PACKAGES };
  const plain = await listen(folder, roots, {});
  const isolated = await listen(folder, roots, ISOLATION);
  return {
    plain: plain.origin,
    isolated: isolated.origin,
    close: async () => {
      await Promise.all([plain.close(), isolated.close()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/**
 * @param {string} folder of the pages
 * @param {Readonly<Record<string, string>>} roots folders by the first part of a path
 * @param {Readonly<Record<string, string>>} headers
 */
async function listen(folder, roots, headers) {
  const server = createServer((request, response) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    const path = new URL(request.url ?? '', 'http://x').pathname;
    const [, first = ''] = path.split('/');
    const root = roots[first];
    sendFile(request, response, root ?? folder, root === undefined ? path : path.slice(first.length + 1));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    origin: `http://127.0.0.1:${address.port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** @param {string} outDir
 * @param {string} version */
async function buildPages(outDir, version) {
  const root = fileURLToPath(new URL('pages/', import.meta.url));
  const pages = readdirSync(root).filter((file) => file.endsWith('.html'));
  await build({
    configFile: false,
    root,
    logLevel: 'error',
    base: './',
    define: { __TABSERVE_BUILD_ID__: JSON.stringify(version) },
    worker: { format: 'es' },
    build: {
      target: 'es2022',
      outDir,
      emptyOutDir: false,
      chunkSizeWarningLimit: 2000,
      rolldownOptions: { input: pages.map((page) => join(root, page)) },
    },
  });
}
