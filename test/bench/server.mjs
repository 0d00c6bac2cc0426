// @ts-check
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildPages } from '../../demo/bench/build.mjs';
import { policyInPages } from '../../demo/server/content-security-policy.mjs';
import { sendFile, sendJson } from '../../demo/server/send-file.mjs';
import { listenAnywhere } from './listen.mjs';

const ROOT = fileURLToPath(new URL('.', import.meta.url));

/**
 * Builds the bench's pages, and serves them and the model beside them.
 *
 * @param {string} modelPath
 * @returns {Promise<{ pageUrl: string, modelUrl: string, modelBytesSent(): number, close(): Promise<void> }>}
 */
export async function startBenchServer(modelPath) {
  const folder = mkdtempSync(join(tmpdir(), 'tabserve-bench-page-'));
  await buildPages(ROOT, ['suite.html', 'frame.html', 'start-frame.html'], folder, {}, [policyInPages()]);
  let modelBytes = 0;
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '', 'http://x').pathname;
    if (path === '/model-bytes-sent') return sendJson(response, modelBytes);
    if (!path.startsWith('/models/')) return sendFile(request, response, folder, path);
    response.on('finish', () => {
      if (request.method === 'GET') modelBytes += Number(response.getHeader('content-length') ?? 0);
    });
    sendFile(request, response, dirname(modelPath), path.slice('/models'.length));
  });
  const listening = await listenAnywhere(server);
  const { origin } = listening;
  return {
    pageUrl: `${origin}/suite.html`,
    modelUrl: `${origin}/models/${encodeURIComponent(basename(modelPath))}`,
    modelBytesSent: () => modelBytes,
    close: async () => {
      await listening.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
