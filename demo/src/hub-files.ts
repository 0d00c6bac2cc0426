import { listFiles } from '@huggingface/hub';
import { TabserveError } from '../../src/index.ts';
import { HUB, type RepositoryName } from './model-choice.ts';
import type { RepositoryFile } from './repository.ts';

/** A list longer than this helps nobody. */
const MOST = 200;
const TIMEOUT_MS = 20_000;

/**
 * The GGUF files of a repository, by the hub's own package.
 *
 * @param hubUrl where it is looked up
 * @throws TabserveError `model_not_found`, `download_failed`
 */
export async function listGgufFiles(name: RepositoryName, signal: AbortSignal, hubUrl = HUB): Promise<readonly RepositoryFile[]> {
  const until = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const ask: typeof fetch = async (input, init) => {
    const response = await fetch(input, { ...init, signal: until });
    if (!response.ok) throw refused(response.status, name, hubUrl);
    return response;
  };
  const found: RepositoryFile[] = [];
  try {
    // The package puts the revision into a URL as it is.
    const options = { repo: name.id, revision: encodeURIComponent(name.revision), recursive: true, hubUrl, fetch: ask };
    for await (const { path, type, size, lfs } of listFiles(options)) {
      if (type === 'file' && /\.gguf$/i.test(path)) found.push({ path, bytes: lfs?.size ?? size });
      if (found.length === MOST) break;
    }
  } catch (cause) {
    if (cause instanceof TabserveError) throw cause;
    throw new TabserveError('download_failed', `${hubUrl} did not answer, or not as a hub does.`, { cause });
  }
  return found;
}

/** The hub does not tell strangers which names there are: what is private is not there. */
function refused(status: number, { id, revision }: RepositoryName, hubUrl: string): TabserveError {
  if (![401, 403, 404].includes(status)) return new TabserveError('download_failed', `${hubUrl} answers with the status ${status}.`);
  const at = revision === 'main' ? '' : ` at ${revision}`;
  return new TabserveError('model_not_found', `There is no ${id}${at} at ${hubUrl}, or it is not open to everyone.`);
}
