import { BROKER_NAME } from '../core/rendezvous.ts';

/**
 * A SharedWorker is kept by URL, name and options, and an open tab would keep old code alive: each release, and each
 * build while developing, has workers of its own.
 */
const BUILD = typeof __TABSERVE_BUILD_ID__ === 'undefined' ? '' : `-${__TABSERVE_BUILD_ID__}`;

// Each call is of the form that bundlers recognise.

/**
 * The origin's engine: started by the first tab, joined by the others. Where the browser can, it lives on for some
 * seconds without a tab, so that a reload finds it warm.
 */
export function startSharedEngine(): SharedWorker {
  return new SharedWorker(new URL('../worker/engine-worker.ts', import.meta.url), {
    type: 'module',
    name: `tabserve${BUILD}`,
    extendedLifetime: true,
  });
}

/** An engine of this tab's own, for itself and others. */
export function startElectedEngine(): Worker {
  return new Worker(new URL('../worker/engine-worker.ts', import.meta.url), {
    type: 'module',
    name: `tabserve-elected${BUILD}`,
  });
}

/** What brings tabs and an elected engine together. */
export function startBroker(): SharedWorker {
  return new SharedWorker(new URL('../worker/engine-worker.ts', import.meta.url), {
    type: 'module',
    name: `${BROKER_NAME}${BUILD}`,
  });
}
