// @ts-check
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { isAllowedHost } from './allowed-host.mjs';
import { serveModel } from './models.mjs';
import { builtPage, developmentPage, DIST } from './page.mjs';
import { sendFile, wrongHost } from './send-file.mjs';

const SERVER_DIR = fileURLToPath(new URL('.', import.meta.url));

/**
 * One request, once it is over: the only trace of what a SharedWorker downloads.
 *
 * @typedef {{ method: string, url: string, range: string | undefined, status: number }} LogEntry
 */

/**
 * @typedef {object} DemoServerOptions
 * @property {string} modelsDir served as /models/
 * @property {import('./fetch-model.mjs').FetchResult} model what came of fetching the default model
 * @property {import('./model-spec.mjs').ModelSpec} [spec] which model that is
 * @property {number} [port] 0 for any free one; 5173 if not given
 * @property {string} [host] an address to listen on instead of this machine's own two
 * @property {string} [distDir] the built page
 * @property {boolean} [dev] Vite's development server instead of the built page
 * @property {(entry: LogEntry) => void} [onRequest]
 */

/**
 * Serves the page, and the models beside it.
 *
 * @param {DemoServerOptions} options
 * @returns {Promise<{ url: string, port: number, close(): Promise<void> }>}
 * @throws with code EADDRINUSE where the port is taken
 */
export async function startDemoServer(options) {
  mkdirSync(options.modelsDir, { recursive: true });
  const server = createServer();
  const page = options.dev === true ? await developmentPage(server) : builtPage(options.distDir ?? DIST);
  server.on('request', (request, response) => {
    const { method = 'GET', url = '/', headers } = request;
    response.once('close', () =>
      options.onRequest?.({ method, url, range: headers.range, status: response.statusCode }),
    );
    response.setHeader('X-Content-Type-Options', 'nosniff');
    // A page's <meta> policy cannot say who may frame it. The benchmark's page has frames of its own origin.
    response.setHeader('Content-Security-Policy', "frame-ancestors 'self'");
    const [path = '/'] = url.split('?');
    if (!isAllowedHost(headers.host, options.host)) wrongHost(response);
    else if (path === '/service-worker.js') sendFile(request, response, SERVER_DIR, '/retired-service-worker.js');
    else if (path.startsWith('/models/')) serveModel(path.slice('/models/'.length), request, response, options);
    else page.handle(path, request, response);
  });
  /** @type {import('node:http').Server[]} */
  const listening = [];
  const close = async () => {
    await Promise.all(listening.map(stop));
    await page.close();
  };
  try {
    const port = await listenLocally(server, options.port ?? 5173, options.host, listening);
    const name = options.host === undefined || /^(0\.0\.0\.0|::)$/.test(options.host) ? 'localhost' : options.host;
    return { url: `http://${name.includes(':') ? `[${name}]` : name}:${port}`, port, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * `localhost` may mean 127.0.0.1 or ::1, and one listener takes one of them: so two. A machine without IPv6 has one.
 *
 * @param {import('node:http').Server} server
 * @param {number} port
 * @param {string | undefined} host
 * @param {import('node:http').Server[]} listening what has been opened
 * @returns {Promise<number>} the port
 */
async function listenLocally(server, port, host, listening) {
  await listen(server, port, host ?? '127.0.0.1');
  listening.push(server);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server listens on no port');
  if (host !== undefined) return address.port;
  const second = createServer();
  // A listener for upgrades that nobody answers would hold the socket for good.
  const events = ['request', 'upgrade'].filter((event) => server.listenerCount(event) > 0);
  for (const event of events) second.on(event, (...args) => server.emit(event, ...args));
  try {
    await listen(second, address.port, '::1');
    listening.push(second);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') throw error;
  }
  return address.port;
}

/**
 * @param {import('node:http').Server} server
 * @param {number} port
 * @param {string} host
 * @returns {Promise<void>}
 */
function listen(server, port, host) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** @param {import('node:http').Server} server
 * @returns {Promise<void>} */
function stop(server) {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
