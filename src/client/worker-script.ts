import { TabserveError } from '../core/errors.ts';

const SELF_HOST =
  'Copy node_modules/tabserve/dist/engine-worker.js to your own site, have it served as JavaScript, and say where it is: ' +
  "createClient({ workerUrl: '/engine-worker.js', ... }).";

const TRUSTED_TYPES =
  "The page requires Trusted Types (require-trusted-types-for 'script'): have a policy of the page's make the address, and " +
  "give it as createClient({ workerUrl: policy.createScriptURL('/engine-worker.js'), ... }).";

/**
 * Where a script is: a URL, or a `TrustedScriptURL` as a Trusted Types policy makes them. TypeScript's own libraries have no
 * type for the latter; it is allowed in an app that has `@types/trusted-types`.
 */
export type ScriptAddress = Window & typeof globalThis extends { TrustedScriptURL: { prototype: infer Trusted } } ? URL | Trusted : URL;

/** Where the engine's worker is loaded from. */
export interface WorkerScript {
  readonly url: URL;
  /** The address for the browser: one made by a Trusted Types policy must be passed unchanged. */
  readonly address: ScriptAddress;
}

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
export function resolveWorkerUrl(workerUrl: unknown, page: WorkerPage): WorkerScript | undefined {
  if (workerUrl === undefined) {
    checkModule(page);
    return undefined;
  }
  const isTrusted = isTrustedScriptUrl(workerUrl);
  const given = workerUrl instanceof URL || isTrusted ? String(workerUrl) : workerUrl;
  if (typeof given !== 'string' || given.trim() === '' || !URL.canParse(given, page.baseUrl)) {
    throw refused(`\`workerUrl\` is ${describe(given)}, and no URL.`);
  }
  const url = new URL(given, page.baseUrl);
  if (url.protocol === 'blob:' || url.protocol === 'data:') {
    throw refused(`\`workerUrl\` is a ${url.protocol} URL, whose worker no other tab can share.`);
  }
  if (url.origin !== page.origin) throw foreign(url.origin, page);
  return { url, address: isTrusted ? workerUrl : url };
}

/** A policy's own object: text that merely says the same is refused where the page requires Trusted Types. */
function isTrustedScriptUrl(value: unknown): value is ScriptAddress {
  const { trustedTypes } = globalThis as { trustedTypes?: { isScriptURL?: (value: unknown) => boolean } };
  return trustedTypes?.isScriptURL?.(value) === true;
}

/** A worker whose script did not come up. */
export interface FailedWorker {
  /** Its script's; undefined where only the bundler knows it. */
  readonly url: URL | undefined;
  /** Whether it is a Worker, which a page's embedder policy holds for, and no SharedWorker. */
  readonly isDedicated: boolean;
}

/** The error for a worker that did not start, after a request for its script where its URL is known. */
export async function scriptFailure({ url, isDedicated }: FailedWorker): Promise<TabserveError> {
  const policy = isDedicated ? await embedderPolicyOfPage() : undefined;
  const needed =
    `The page is served with the header "Cross-Origin-Embedder-Policy: ${policy}"; ` +
    'so the script of its worker must be served with that header as well';
  const rules = "Its script must be on the page's own origin, and a Content-Security-Policy must allow it (worker-src 'self').";
  const failure = "The engine's worker could not be started";
  if (url === undefined) return refused(`${failure}. ${policy === undefined ? '' : `${needed}. `}${rules}`);
  const found = await lookAt(url);
  if (typeof found === 'string') return refused(`${failure} from ${url.href}: ${found}.`);
  if (policy === undefined || embedderPolicyOf(found) !== undefined) return refused(`${failure} from ${url.href}. ${rules}`);
  return new TabserveError('invalid_request', `${failure} from ${url.href}. ${needed}, and is not.`, { param: 'workerUrl' });
}

/** A worker that the browser refused to construct. */
export function constructionFailure(cause: unknown): TabserveError {
  const message = `The browser refused to start the engine's worker: ${String(cause)}.`;
  const isUntrusted = cause instanceof TypeError && 'trustedTypes' in globalThis;
  return refused(isUntrusted ? `${message} ${TRUSTED_TYPES}` : message, cause);
}

/** Bundlers take the worker's URL from that of the module that starts it, and so does the browser without one. */
function checkModule(page: WorkerPage): void {
  if (page.moduleUrl === undefined) {
    throw refused('tabserve was built into a script that is no module, and so cannot tell where its worker is.');
  }
  const { protocol, origin } = new URL(page.moduleUrl);
  if (/^https?:$/.test(protocol) && origin !== page.origin) throw foreign(origin, page);
}

/** A script's headers, or what is wrong with it. */
async function lookAt(url: URL): Promise<Response | string> {
  try {
    const response = await headersOf(url, 'no-store');
    if (!response.ok) return `HTTP ${response.status}`;
    const type = response.headers.get('content-type') ?? 'no type';
    return /\b(java|ecma)script\b/i.test(type) ? response : `it is served as ${type}`;
  } catch {
    return 'it cannot be fetched';
  }
}

/**
 * The embedder policy of this page that its dedicated workers must have as well; undefined where it has none. Scripts
 * can read cross-origin isolation only, which needs a second header, so this requests the page's own headers too.
 */
async function embedderPolicyOfPage(): Promise<string | undefined> {
  const isolated = globalThis.crossOriginIsolated ? 'require-corp' : undefined;
  try {
    return embedderPolicyOf(await headersOf(new URL(location.href), 'force-cache')) ?? isolated;
  } catch {
    return isolated;
  }
}

function embedderPolicyOf({ headers }: Response): string | undefined {
  return /^\s*(require-corp|credentialless)\b/.exec(headers.get('cross-origin-embedder-policy') ?? '')?.[1];
}

async function headersOf(url: URL, cache: RequestCache): Promise<Response> {
  const response = await fetch(url, { cache });
  await response.body?.cancel();
  return response;
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
