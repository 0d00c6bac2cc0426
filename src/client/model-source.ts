import { TabserveError } from '../core/errors.ts';
import type { ModelSource } from '../core/protocol.ts';

const ALLOWED =
  'give an https: URL of a GGUF file, hf:owner/repo/file.gguf[@revision], a path on this site, or a File';

/**
 * What a caller gave as a model, if it is one. An empty string would be the page's own URL.
 *
 * @throws TabserveError `invalid_request` with `param` `model`, saying what can be given
 */
export function checkModelSource(model: unknown): ModelSource {
  if (typeof model === 'string' && model.trim() !== '') return model;
  if (isFile(model)) return model;
  throw new TabserveError('invalid_request', `\`model\` is ${describe(model)}; ${ALLOWED}.`, { param: 'model' });
}

/**
 * A path means the same in every tab and in the worker once it is a whole URL.
 *
 * @throws TabserveError `invalid_request` with `param` `model` where it is no path of a URL
 */
export function resolveSource(model: ModelSource, baseUrl: string): ModelSource {
  if (typeof model !== 'string' || /^[a-z][a-z0-9+.-]*:/i.test(model)) return model;
  if (URL.canParse(model, baseUrl)) return new URL(model, baseUrl).href;
  throw new TabserveError('invalid_request', `\`model\` is '${model}', and no URL or path; ${ALLOWED}.`, { param: 'model' });
}

/** A file of another frame's is no `instanceof` this one's. */
function isFile(model: unknown): model is File {
  return Object.prototype.toString.call(model) === '[object File]';
}

function describe(model: unknown): string {
  if (model === undefined) return 'missing';
  if (typeof model === 'string') return 'empty';
  if (model instanceof URL) return 'a URL object (its href is a URL)';
  if (model instanceof Blob) return 'a Blob without a name (new File([blob], name) has one)';
  return model === null ? 'null' : `a value of type ${typeof model}`;
}
