// @ts-check
import { createHash } from 'node:crypto';

/**
 * The model hub and the hosts that it redirects downloads to, all of which are below these two domains:
 * https://huggingface.co/.well-known/meta.json (`lfsDomains`, `cdnDomains`) and, older, cdn-lfs.huggingface.co.
 */
const HUB = 'https://huggingface.co https://*.huggingface.co https://*.hf.co';

/**
 * The policy of a page: its own files only, no inline script but those with these hashes, no `eval`, no inline style; it may
 * speak to its own server and to the hub. Workers of a server that sends no policy with their scripts are under none: there,
 * and only there, the engine takes a model from whichever host its user names.
 *
 * @param {readonly string[]} scriptHashes
 */
export function contentSecurityPolicy(scriptHashes = []) {
  return [
    "default-src 'none'",
    ["script-src 'self'", ...scriptHashes.map((hash) => `'${hash}'`)].join(' '),
    "style-src 'self'",
    "img-src 'self'",
    `connect-src 'self' ${HUB}`,
    "worker-src 'self'",
    "frame-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

/**
 * Puts the policy into each page that is built, with the hashes of the inline scripts that it has by then.
 *
 * @returns {import('vite').Plugin}
 */
export function policyInPages() {
  return {
    name: 'tabserve:content-security-policy',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler: (html) => {
        const inline = [...html.matchAll(/<script>([^]*?)<\/script>/g)].map(([, code = '']) => code);
        const hashes = inline.map((code) => `sha256-${createHash('sha256').update(code).digest('base64')}`);
        const attrs = { 'http-equiv': 'Content-Security-Policy', content: contentSecurityPolicy(hashes) };
        return [{ tag: 'meta', attrs, injectTo: 'head-prepend' }];
      },
    },
  };
}
