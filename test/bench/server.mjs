// @ts-check
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createServer } from 'vite';
import { sendFile } from '../../demo/server/send-file.mjs';

/**
 * Serves the bench's page from its sources, and the model beside it.
 *
 * @param {string} modelPath
 * @returns {Promise<{ pageUrl: string, modelUrl: string, close(): Promise<void> }>}
 */
export async function startBenchServer(modelPath) {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const vite = await createServer({
    configFile: false,
    root,
    logLevel: 'error',
    cacheDir: 'node_modules/.vite-bench',
    define: { __TABSERVE_BUILD_ID__: JSON.stringify('bench') },
    // Found only while the page runs, they would make it reload.
    optimizeDeps: { entries: ['test/bench/index.html', 'test/bench/engine-worker.ts', 'src/worker/engine-worker.ts'] },
    server: { host: '127.0.0.1', port: 0, hmr: false, watch: null },
    plugins: [
      {
        name: 'tabserve:bench-model',
        configureServer(server) {
          server.middlewares.use('/models/', (request, response) => {
            sendFile(request, response, dirname(modelPath), basename(modelPath));
          });
        },
      },
    ],
  });
  await vite.listen();
  const address = vite.httpServer?.address();
  if (address === null || address === undefined || typeof address === 'string') throw new Error('no port');
  const origin = `http://127.0.0.1:${address.port}`;
  return {
    pageUrl: `${origin}/test/bench/index.html`,
    modelUrl: `${origin}/models/${encodeURIComponent(basename(modelPath))}`,
    close: () => vite.close(),
  };
}
