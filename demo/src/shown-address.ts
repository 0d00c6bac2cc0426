import { nameOf, parseAddress } from './model-choice.ts';

/**
 * A model's address as the page shows and keeps it: without the signature and other secrets that its query may have, and
 * such that it names the same model where that is stored. An address that names no model loses its query.
 *
 * @param baseUrl what a path is relative to
 */
export function shownAddress(address: string, baseUrl: string): string {
  const given = address.trim();
  const named = parseAddress(given);
  const source = named?.kind === 'model' ? named.choice.source : undefined;
  if (source !== undefined && !/[?#]/.test(given)) return given;
  const name = source === undefined ? undefined : nameOf(source, baseUrl);
  return name ?? given.replace(/[?#].*$/s, '').replace(/^([a-z]+:)?([\\/]{2})[^\\/]*@/i, '$1$2');
}
