import { TabserveError } from '../core/errors.ts';

const SELF_HOST =
  'Copy node_modules/tabserve/dist/engine-worker.js to your own site, have it served as JavaScript, and say where it is: ' +
  "createClient({ workerUrl: '/engine-worker.js', ... }).";

/** The page that starts workers; `document` and `location`, or a stand-in. */
export interface WorkerPage {
  readonly origin: string;
  readonly baseUrl: string;
  /** Where tabserve's own code comes from; `undefined` in a script that is no module, `file:` where webpack built it. */
  readonly moduleUrl: string | undefined;
}

/**
 * Where the engine's worker is to be loaded from, or `undefined` for where the bundler put it. Browsers start workers of
 * the page's own origin only; those of `blob:` and `data:` URLs are each tab's own, so that no tab could share them.
 *
 * @throws TabserveError `invalid_request` with `param` `workerUrl`, saying what to do
 */
export function resolveWorkerUrl(workerUrl: unknown, page: WorkerPage): URL | undefined {
  if (workerUrl === undefined) {
    checkModule(page);
    return undefined;
  }
  const given = workerUrl instanceof URL ? workerUrl.href : workerUrl;
  if (typeof given !== 'string' || given.trim() === '' || !URL.canParse(given, page.baseUrl)) {
    throw refused(`\`workerUrl\` is ${describe(given)}, and no URL.`);
  }
  const url = new URL(given, page.baseUrl);
  if (url.protocol === 'blob:' || url.protocol === 'data:') {
    throw refused(`\`workerUrl\` is a ${url.protocol} URL, whose worker no other tab can share.`);
  }
  if (url.origin !== page.origin) throw foreign(url.origin, page);
  return url;
}

/** What to say of a worker that did not come up, after a look at its script where its URL is known. */
export async function scriptFailure(url: URL | undefined): Promise<TabserveError> {
  const why = url === undefined ? '' : await lookAt(url);
  const where = url === undefined ? '' : ` from ${url.href}`;
  return refused(
    `The engine's worker could not be started${where}${why}. ` +
      "Its script must be on the page's own origin, and a Content-Security-Policy must allow it (worker-src 'self').",
  );
}

/** A worker that the browser refused to construct. */
export function constructionFailure(cause: unknown): TabserveError {
  return refused(`The browser refused to start the engine's worker: ${String(cause)}.`, cause);
}

/** Bundlers take the worker's URL from that of the module that starts it, and so does the browser without one. */
function checkModule(page: WorkerPage): void {
  if (page.moduleUrl === undefined) {
    throw refused('tabserve was built into a script that is no module, and so cannot tell where its worker is.');
  }
  const { protocol, origin } = new URL(page.moduleUrl);
  if (/^https?:$/.test(protocol) && origin !== page.origin) throw foreign(origin, page);
}

async function lookAt(url: URL): Promise<string> {
  try {
    const response = await fetch(url, { cache: 'no-store' });
    await response.body?.cancel();
    if (!response.ok) return `: HTTP ${response.status}`;
    const type = response.headers.get('content-type') ?? 'no type';
    return /\b(java|ecma)script\b/i.test(type) ? '' : `: it is served as ${type}`;
  } catch {
    return ': it cannot be fetched';
  }
}

function foreign(origin: string, page: WorkerPage): TabserveError {
  return refused(`The engine's worker would come from ${origin}, and a page of ${page.origin} can start its own only.`);
}

function refused(what: string, cause?: unknown): TabserveError {
  return new TabserveError('invalid_request', `${what} ${SELF_HOST}`, { param: 'workerUrl', cause });
}

function describe(given: unknown): string {
  return typeof given === 'string' ? `'${given}'` : given === null ? 'null' : `a value of type ${typeof given}`;
}
