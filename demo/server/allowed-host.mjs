// @ts-check
import { isIP } from 'node:net';
import { hostname } from 'node:os';

/**
 * Whether a request's `Host` header names this server. A page of a stranger's domain can make that domain resolve to
 * 127.0.0.1 (DNS rebinding) and would then share the server's origin; it cannot change the name in the header. IP addresses
 * cannot be rebound.
 *
 * @param {string | undefined} header with or without a port
 * @param {string | undefined} listenHost the name or address that the server was told to listen on
 */
export function isAllowedHost(header, listenHost) {
  const url = `http://${header ?? ''}`;
  if (header === undefined || !URL.canParse(url)) return false;
  const name = new URL(url).hostname.replace(/^\[|\]$/g, '');
  const own = hostname().toLowerCase();
  const names = ['localhost', own, `${own}.local`, listenHost?.toLowerCase()];
  return isIP(name) !== 0 || names.includes(name) || name.endsWith('.localhost');
}
