import { TabserveError } from '../core/errors.ts';
import { checkMagic } from '../formats/gguf.ts';

/**
 * Refuses a file that is no model by its first bytes, before anything is stored. Sites, sign-ins and Wi-Fi portals
 * answer unknown addresses with a web page.
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
