import { deleteModel, listModels, persistModels } from '../../src/cache.ts';
import { TUNINGS } from '../../src/core/tuning.ts';
import { createClient, missingSupport } from '../../src/index.ts';
import { type Fault, injectFault } from '../../src/testing.ts';
import { indexedDbConversations } from './conversation-store.ts';
import { findDefaultModel } from './default-model.ts';
import { TabserveApp } from './elements/app.ts';
import { nextFrame } from './frame.ts';
import { isRedirected } from './model-link.ts';
import { rememberInAddress } from './page-address.ts';
import { pageStorage } from './page-storage.ts';
import { lackOf } from './webgpu-help.ts';

/** Whether the build has a service worker: a static site's has, `npm run demo`'s has not. */
declare const __TABSERVE_OFFLINE__: boolean;

/** `?tuning=force` shows the trials of kernels on adapters that are not tuned by themselves. */
const asked = new URL(location.href).searchParams.get('tuning');
const tuning = TUNINGS.find((each) => each === asked);
const storage: Partial<StorageManager> | undefined = navigator.storage; // there is none over plain http

const app = new TabserveApp({
  createClient: async (options) => {
    const client = await createClient({ ...options, tuning });
    return Object.assign(client, { injectFault: (fault: Fault) => injectFault(client, fault) });
  },
  findDefaultModel,
  findObstacle: () => {
    const detail = missingSupport();
    return detail === undefined ? undefined : { lack: lackOf(globalThis), detail };
  },
  isOnline: () => navigator.onLine,
  session: pageStorage(() => sessionStorage),
  lasting: pageStorage(() => localStorage),
  baseUrl: document.baseURI,
  rememberModel: rememberInAddress,
  // The hub's package is fetched only by those who browse it.
  listRepository: async (repository, signal) => (await import('./hub-files.ts')).listGgufFiles(repository, signal),
  conversations: indexedDbConversations(),
  cache: {
    list: listModels,
    remove: deleteModel,
    persist: persistModels,
    isPersistent: async () => (await storage?.persisted?.()) ?? false,
    estimate: async () => (await storage?.estimate?.()) ?? {},
  },
  isRedirected,
  now: () => performance.now(),
  clock: () => Date.now(),
  nextFrame,
});
document.querySelector('#app')?.replaceWith(app);
// Where there is none, or it is refused, the page is the same, but for coming without a network.
if (import.meta.env.PROD && __TABSERVE_OFFLINE__) void navigator.serviceWorker?.register('./service-worker.js').catch(() => {});
