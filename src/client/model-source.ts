import { hideQuery, TabserveError } from '../core/errors.ts';
import { addressOf } from '../core/protocol.ts';
import type { ModelAccess, ModelAddress, ModelSource } from '../core/protocol.ts';
import { fileFingerprint } from './file-fingerprint.ts';

const ALLOWED =
  'give an https: URL of a GGUF file, hf:owner/repo/file.gguf[@revision], a path on this site, or a File';

/**
 * A given model, checked. An empty string would be the page's own URL.
 *
 * @throws TabserveError `invalid_request` with `param` `model`, saying what can be given
 */
export function checkModelSource(model: unknown): ModelSource {
  if (typeof model === 'string' && model.trim() !== '') return model;
  if (isFile(model)) return model;
  throw new TabserveError('invalid_request', `\`model\` is ${describe(model)}; ${ALLOWED}.`, { param: 'model' });
}

/** Refuses a `cacheKey` that names nothing, or a file that is known by its content. */
export function checkCacheKey(cacheKey: unknown, model: ModelSource): void {
  if (cacheKey === undefined || (typeof cacheKey === 'string' && cacheKey.trim() !== '' && typeof model === 'string')) return;
  const message = '`cacheKey` has to be a text that names the file behind a URL; a File is known by its content.';
  throw new TabserveError('invalid_request', message, { param: 'cacheKey' });
}

/** The model's address for the worker: the same in every tab that means the same file. */
export async function modelAddress(options: AddressOptions, baseUrl: string): Promise<ModelAddress> {
  const { model, hub, cacheKey } = options;
  const fingerprint = typeof model === 'string' ? undefined : await fileFingerprint(model);
  return addressOf({ source: resolveSource(model, baseUrl), hub, cacheKey, fingerprint });
}

interface AddressOptions extends ModelAccess {
  readonly model: ModelSource;
}

/**
 * A path means the same in every tab and in the worker once it is a whole URL.
 *
 * @throws TabserveError `invalid_request` with `param` `model` where it is no path of a URL
 */
export function resolveSource(model: ModelSource, baseUrl: string): ModelSource {
  if (typeof model !== 'string') return model;
  const name = model.trim();
  if (/^[a-z][a-z0-9+.-]*:/i.test(name)) return name;
  if (URL.canParse(name, baseUrl)) return new URL(name, baseUrl).href;
  throw new TabserveError('invalid_request', `\`model\` is '${hideQuery(name)}', and no URL or path; ${ALLOWED}.`, { param: 'model' });
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
