import { shortHash } from '../storage/short-hash.ts';
import { queryPairs, splitQuery, withoutSignature } from './signed-url.ts';

/** Parameters whose value is a secret by its name: `token`, `accessToken`, `api_key`, `sig`. */
const SECRET = /(token|key|secret|passw(or)?d|pwd|sig|signature|auth(orization)?|credentials?|jwt|bearer|hmac)$/;
/** A hash that replaces a secret. */
const HASHED = /^~[0-9a-f]{16}$/;

/**
 * The name of a model's URL in logs, errors, metrics and manifests, and its identity. It has no fragment and no
 * signature, so a URL that is signed anew names the same file. Other secrets are replaced by a hash, because they may
 * select the file. A name is its own name, and so is anything that is not a web address.
 */
export function modelName(source: string): string {
  if (!/^https?:/i.test(source)) return source;
  const { before, query } = splitQuery(withoutSignature(source));
  return query === '' ? before : `${before}?${queryPairs(`?${query}`).map(({ text, key }) => shown(text, key)).join('&')}`;
}

function shown(text: string, key: string): string {
  const start = text.indexOf('=') + 1;
  const value = text.slice(start);
  if (start === 0 || value === '' || !SECRET.test(key) || HASHED.test(value)) return text;
  return `${text.slice(0, start)}~${shortHash(value)}`;
}
