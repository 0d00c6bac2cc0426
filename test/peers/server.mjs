// @ts-check
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sendFile } from '../../demo/server/send-file.mjs';
import { buildPages } from '../../demo/bench/build.mjs';
import { listenAnywhere } from '../bench/listen.mjs';

const PAGES = fileURLToPath(new URL('pages/', import.meta.url));
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
  const pages = readdirSync(PAGES).filter((file) => file.endsWith('.html'));
  await buildPages(PAGES, pages, folder, { __TABSERVE_BUILD_ID__: JSON.stringify(version) });
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
  return listenAnywhere(server);
}
