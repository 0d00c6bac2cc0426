// @ts-check
import send from 'send';

/** @typedef {import('node:http').IncomingMessage} Request */
/** @typedef {import('node:http').ServerResponse} Response */

/**
 * Answers with a file of `root`: ranges, validators, HEAD. Whatever is amiss (no such file, a dot file, a path that
 * leaves the folder) is 404.
 *
 * @param {Request} request
 * @param {Response} response
 * @param {string} root
 * @param {string} path URL-encoded, within `root`
 */
export function sendFile(request, response, root, path) {
  send(request, path, { root, cacheControl: false, dotfiles: 'ignore' })
    .on('error', (/** @type {{ status?: number, headers?: Record<string, string> }} */ error) => {
      if (response.headersSent) response.destroy();
      else if (error.status === 416) response.writeHead(416, error.headers).end();
      else notFound(response);
    })
    .on('directory', () => notFound(response))
    .pipe(response);
}

/** @param {Response} response
 * @param {unknown} value */
export function sendJson(response, value) {
  response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store' });
  response.end(JSON.stringify(value));
}

/** @param {Response} response */
export function notFound(response) {
  sendText(response, 404, 'Not found');
}

/** @param {Response} response */
export function wrongHost(response) {
  sendText(response, 421, 'This server does not answer to that name. Use localhost or an IP address, or start it with --host NAME.');
}

/**
 * @param {Response} response
 * @param {number} status
 * @param {string} text
 */
function sendText(response, status, text) {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' });
  response.end(`${text}\n`);
}
