import { TabserveError } from '../core/errors.ts';
import { checkMagic } from '../formats/gguf.ts';

/**
 * Refuses what is no model by its first bytes, before anything is kept. A page in the place of a file is what sites,
 * sign-ins and Wi-Fi portals answer an address with that they do not know.
 *
 * @throws TabserveError `model_not_found` for a web page, `unsupported_model` for anything else that is not GGUF
 */
export function checkStart(url: string, start: Uint8Array, contentType: string): void {
  const text = new TextDecoder().decode(start);
  if (text.startsWith('GGUF')) return;
  if (/^(text\/html|application\/xhtml)/i.test(contentType) || text.trimStart().startsWith('<')) {
    const why = 'the address may be of a page and not of a file, need a sign-in, or be answered by the network';
    throw new TabserveError('model_not_found', `${url} is a web page, not a model: ${why}. Check it in a new tab.`);
  }
  checkMagic(start, url);
}
