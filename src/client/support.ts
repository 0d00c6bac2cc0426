import { TabserveError } from '../core/errors.ts';
import type { Locks } from '../core/locks.ts';
import { requestAdapter } from '../core/request-adapter.ts';
import { NO_ADAPTER_SENTENCE, WEBGPU_BROWSERS_SENTENCE } from '../core/webgpu-browsers.ts';

/** The global objects of a page; `globalThis`, or a stand-in. */
export interface PageScope {
  readonly document?: unknown;
  readonly isSecureContext?: boolean;
  readonly origin?: string;
  readonly navigator?: { readonly gpu?: unknown; readonly locks?: unknown };
}

/**
 * The features that a page may lack to serve a model:
 * - `page`: there is no document, as in Node or in a worker
 * - `secure_context`: the page is neither from `https:` nor from localhost
 * - `origin`: the page has an opaque origin, as in a sandboxed iframe without `allow-same-origin`
 * - `webgpu`: the browser has no WebGPU
 * - `web_locks`: the browser has no Web Locks, or denies them to this page
 * - `adapter`: the browser has WebGPU, and offers no GPU
 */
export type MissingFeature = 'page' | 'secure_context' | 'origin' | 'webgpu' | 'web_locks' | 'adapter';

/** Whether a model can be served in this page; if not, what is missing and, in words, what to do. */
export type Support =
  | { readonly supported: true }
  | { readonly supported: false; readonly missing: MissingFeature; readonly reason: string };

type Missing = Extract<Support, { supported: false }>;

const LOCKS_BROWSERS = 'Chrome and Edge have it from 69 on, Firefox from 96, Safari from 15.4';

/** Why a browser denies a page its APIs, and what to do. */
export const DENIED_SENTENCE =
  'Browsers deny it to pages that may keep no data: where cookies and site data are blocked, and in an iframe of another ' +
  "site. Allow this site's data, or open the page in a tab of its own.";

/**
 * A message on the missing feature to serve a model in this page, or `undefined` where none is missing, as far as is
 * known without waiting. {@link checkSupport} also finds out whether the browser offers a GPU, and whether it denies
 * the page anything.
 */
export function missingSupport(scope: PageScope = globalThis): string | undefined {
  return missingFromPage(scope)?.reason;
}

/**
 * Whether a model can be served in this page: asks the browser for a GPU, too. Never rejects. Nothing is loaded or kept.
 */
export async function checkSupport(scope: PageScope = globalThis): Promise<Support> {
  return (await missingToConnect(scope)) ?? (await missingAdapter(scope)) ?? { supported: true };
}

/**
 * Whether there is an adapter is for the worker to find out: it is the worker that will use it.
 *
 * @throws TabserveError `webgpu_unavailable`, with what is missing and what to do
 */
export async function requireSupport(scope: PageScope = globalThis): Promise<void> {
  const missing = await missingToConnect(scope);
  if (missing !== undefined) throw new TabserveError('webgpu_unavailable', missing.reason);
}

function lacks(missing: MissingFeature, reason: string): Missing {
  return { supported: false, missing, reason };
}

function missingFromPage(scope: PageScope): Missing | undefined {
  if (attempt(() => scope.document) === undefined) {
    return lacks(
      'page',
      'There is no page here (no document): this is Node, another server, or a worker. ' +
        'tabserve runs in a browser, and is called by a script of a page.',
    );
  }
  if (scope.isSecureContext !== true) {
    return lacks(
      'secure_context',
      `The page's origin, ${scope.origin}, is not secure, and browsers offer WebGPU to secure pages only. ` +
        'Serve the page over https: or from http://localhost.',
    );
  }
  if (scope.origin === 'null') {
    return lacks(
      'origin',
      'The page has an opaque origin, to which browsers deny Web Locks and storage: it is in an iframe whose sandbox lacks ' +
        'allow-same-origin, or its URL is a file: or data: URL. Add allow-same-origin to the sandbox, or serve the page ' +
        'over https: or from http://localhost.',
    );
  }
  if (gpuOf(scope) === undefined) {
    return lacks('webgpu', `This browser has no WebGPU (navigator.gpu), or it is switched off. ${WEBGPU_BROWSERS_SENTENCE}`);
  }
  if (locksOf(scope) === undefined) {
    return lacks('web_locks', `This browser has no Web Locks (navigator.locks), by which tabs are told apart. ${LOCKS_BROWSERS}.`);
  }
  return undefined;
}

/** The missing feature for reaching the engine, if any. Web Locks may exist and be denied when they are used. */
async function missingToConnect(scope: PageScope): Promise<Missing | undefined> {
  const missing = missingFromPage(scope);
  if (missing !== undefined) return missing;
  try {
    await locksOf(scope)?.query();
    return undefined;
  } catch (cause) {
    const reason = `The browser denies this page Web Locks (navigator.locks), by which tabs are told apart: ${String(cause)}.`;
    return lacks('web_locks', `${reason} ${DENIED_SENTENCE}`);
  }
}

async function missingAdapter(scope: PageScope): Promise<Missing | undefined> {
  try {
    const gpu = gpuOf(scope);
    const found = gpu && (await requestAdapter(gpu));
    return found === undefined ? lacks('adapter', NO_ADAPTER_SENTENCE) : undefined;
  } catch (cause) {
    return lacks('adapter', `${NO_ADAPTER_SENTENCE} It says: ${String(cause)}.`);
  }
}

function gpuOf(scope: PageScope): GPU | undefined {
  return attempt(() => scope.navigator?.gpu) as GPU | undefined;
}

function locksOf(scope: PageScope): Locks | undefined {
  return attempt(() => scope.navigator?.locks) as Locks | undefined;
}

/** The value of a getter; some throw where the page may not use the feature. */
function attempt<Value>(get: () => Value): Value | undefined {
  try {
    return get();
  } catch {
    return undefined;
  }
}
