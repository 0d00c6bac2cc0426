import { TabserveError } from '../core/errors.ts';
import { exchange } from './http-request.ts';
import type { ExchangeInit, HttpContext } from './http-request.ts';
import { modelName } from './model-name.ts';
import { responseVersion } from '../storage/remote-version.ts';
import type { StatedVersion } from '../storage/remote-version.ts';
import { abortedError, TransientFault } from './retry.ts';

/** A range makes the browser request the file unencoded, as it does when reading it. */
const ONE_BYTE = 'bytes=0-0';

/**
 * Asks a server for its file's version, without the file: by HEAD, or by GET where HEAD is refused. Undefined where the
 * server does not state it.
 *
 * @throws TabserveError `aborted`
 */
export async function askVersion(url: string, context: HttpContext): Promise<StatedVersion | undefined> {
  try {
    const stated = await askHeaders(url, { method: 'HEAD', range: ONE_BYTE }, context).catch((error: unknown) => {
      if (isWaitedFor(error)) throw error;
      return askHeaders(url, { method: 'GET', range: ONE_BYTE }, context);
    });
    const says = stated.etag ?? stated.lastModified ?? stated.size;
    return says === undefined ? await askHeaders(url, { method: 'GET' }, context) : stated;
  } catch (error) {
    if (context.signal?.aborted === true) throw abortedError();
    const why = error instanceof Error ? error.message : String(error);
    context.log(`Could not check whether ${modelName(url)} has changed: ${why}`);
    return undefined;
  }
}

/**
 * Asks a server for its file's size. Across origins the server must expose Content-Range by name, but Content-Length
 * can always be read. HEAD costs least. Where it is refused (a URL that is signed for GET, a CORS rule that allows only
 * GET), a GET of the whole file reports the size as well: it is cancelled when its headers have arrived.
 *
 * @throws TransientFault and TabserveError as {@link exchange} does; `download_failed` where no size is reported
 */
export async function askSize(url: string, context: HttpContext): Promise<number> {
  const byHead = await askHeaders(url, { method: 'HEAD' }, context).catch((error: unknown) => {
    if (isWaitedFor(error)) throw error;
    return undefined;
  });
  const size = byHead?.size ?? (await askHeaders(url, { method: 'GET' }, context)).size;
  if (size !== undefined) return size;
  throw new TabserveError('download_failed', `The server of ${modelName(url)} does not report the file's size.`);
}

async function askHeaders(url: string, init: ExchangeInit, context: HttpContext): Promise<StatedVersion> {
  const answer = await exchange(url, init, context);
  answer.cancel();
  return responseVersion(answer.response);
}

/** Whether another request would be pointless: the caller has aborted, or the server has not answered in time. */
function isWaitedFor(error: unknown): boolean {
  if (error instanceof TransientFault) return error.isSilent;
  return error instanceof TabserveError && error.code === 'aborted';
}
