/**
 * The page's service worker: keeps the built page's own files, so that it comes without a network; the model is in OPFS
 * already. Everything else, model downloads above all, it leaves to the browser.
 *
 * A new build is fetched in the background and waits. It takes over when no tab of the page is open any more, or when the
 * only one is loaded anew; so no page is ever made of two builds.
 */

/** The built files, relative to the scope; set by the build, as is the version, which changes with any of them. */
declare const __PAGE_FILES__: readonly string[];
declare const __PAGE_VERSION__: string;

interface LifecycleEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}

interface FetchEvent extends LifecycleEvent {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

interface ServiceWorkerScope extends EventTarget {
  readonly registration: ServiceWorkerRegistration;
  readonly clients: { matchAll(options: { readonly type: 'window' }): Promise<readonly unknown[]> };
  skipWaiting(): Promise<void>;
}

const scope = globalThis as unknown as ServiceWorkerScope;

const base = scope.registration.scope;
/** Sites below other paths of this origin have caches, too. */
const prefix = `tabserve-page ${base} `;
const cacheName = `${prefix}${__PAGE_VERSION__}`;
const pageUrls = new Set(__PAGE_FILES__.map((file) => new URL(file, base).href));
/** The server's list of models may change at any time. The last answer is used when the server cannot be reached. */
const modelIndexUrl = new URL('models/index.json', base).href;
const TAKE_OVER = 'take-over';

scope.addEventListener('install', (event) => (event as LifecycleEvent).waitUntil(keepPage()));
scope.addEventListener('activate', (event) => (event as LifecycleEvent).waitUntil(dropOlderPages()));
scope.addEventListener('message', ({ data }: MessageEventInit) => {
  if (data === TAKE_OVER) void scope.skipWaiting();
});
scope.addEventListener('fetch', (event) => {
  const { request } = event as FetchEvent;
  if (request.method !== 'GET') return;
  const url = keyOf(request);
  if (url === modelIndexUrl) (event as FetchEvent).respondWith(askFirst(request));
  else if (pageUrls.has(url)) (event as FetchEvent).respondWith(request.mode === 'navigate' ? navigate(request, url) : fromCache(request, url));
});

/** The URL without what makes no other file of it. */
function keyOf(request: Request): string {
  const url = new URL(request.url);
  url.hash = '';
  if (request.mode === 'navigate') {
    url.search = '';
    url.pathname = url.pathname.replace(/\/index\.html$/, '/');
  }
  return url.href;
}

async function keepPage(): Promise<void> {
  const cache = await caches.open(cacheName);
  const keep = async (url: string): Promise<void> => {
    const response = await fetch(url, { cache: 'no-cache' });
    if (!response.ok) throw new TypeError(`${url}: HTTP ${response.status}`);
    await cache.put(url, await withoutRedirect(response));
  };
  await Promise.all([...[...pageUrls].map(keep), keep(modelIndexUrl).catch(() => {})]);
}

async function dropOlderPages(): Promise<void> {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(prefix) && name !== cacheName).map((name) => caches.delete(name)));
}

async function navigate(request: Request, url: string): Promise<Response> {
  const { waiting } = scope.registration;
  if (waiting !== null && (await scope.clients.matchAll({ type: 'window' })).length <= 1) {
    waiting.postMessage(TAKE_OVER);
    // The new build's page, whose files this worker does not have and leaves to the network.
    const fresh = await fetch(request).catch(() => undefined);
    if (fresh !== undefined) return fresh;
  }
  return fromCache(request, url);
}

/** The browser may have emptied the cache. */
async function fromCache(request: Request, url: string): Promise<Response> {
  return (await (await caches.open(cacheName)).match(url)) ?? fetch(request);
}

async function askFirst(request: Request): Promise<Response> {
  const cache = await caches.open(cacheName);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(modelIndexUrl, response.clone());
    return response;
  } catch (error) {
    const last = await cache.match(modelIndexUrl);
    if (last === undefined) throw error;
    return last;
  }
}

/** A response that came by a redirect is refused as a page. */
async function withoutRedirect(response: Response): Promise<Response> {
  if (!response.redirected) return response;
  const { status, headers } = response;
  return new Response(await response.blob(), { status, headers });
}
