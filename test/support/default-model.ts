import { fileURLToPath } from 'node:url';
import { fetchModel, type FetchResult } from '../../demo/server/fetch-model.mjs';

/** Where the demo keeps models; `TABSERVE_MODELS_DIR` names another folder, for a file shared by several clones. */
export const MODELS_DIR = process.env['TABSERVE_MODELS_DIR'] ?? fileURLToPath(new URL('../../.models', import.meta.url));

/** The default model's checked file, fetched if it is not there yet; or the reason to print beside SKIPPED. */
export function defaultModel(): Promise<FetchResult> {
  return fetchModel({ dir: MODELS_DIR, log: (line) => console.log(line) });
}
