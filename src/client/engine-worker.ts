import { BROKER_NAME, CHANNEL_NAME } from '../core/rendezvous.ts';
import type { WorkerScript } from './worker-script.ts';

/**
 * A SharedWorker is kept by URL, name and options, and an open tab would keep old code alive: each release, and each
 * build while developing, has workers of its own.
 */
const BUILD = typeof __TABSERVE_BUILD_ID__ === 'undefined' ? '' : `-${__TABSERVE_BUILD_ID__}`;

const ENGINE_NAME = `tabserve${BUILD}`;
const ELECTED_NAME = `tabserve-elected${BUILD}`;
const BROKER = `${BROKER_NAME}${BUILD}`;

/** The channel on which tabs of this release connect without a SharedWorker. */
export const CHANNEL = `${CHANNEL_NAME}${BUILD}`;

/** The URL of this module, where it is known. */
export const MODULE_URL: string | undefined = import.meta.url;

// Without a script that the app named, each call is of the form that bundlers recognise.

/**
 * The origin's engine: started by the first tab, joined by the others. Where the browser can, it lives on for some
 * seconds without a tab, so that a reload finds it warm.
 */
export function startSharedEngine(script: WorkerScript | undefined): SharedWorker {
  if (script !== undefined) return new SharedWorker(script.address, { type: 'module', name: ENGINE_NAME, extendedLifetime: true });
  return new SharedWorker(new URL('../worker/engine-worker.ts', import.meta.url), {
    type: 'module',
    name: ENGINE_NAME,
    extendedLifetime: true,
  });
}

/** An engine of this tab's own, for itself and others. */
export function startElectedEngine(script: WorkerScript | undefined): Worker {
  if (script !== undefined) return new Worker(script.address, { type: 'module', name: ELECTED_NAME });
  return new Worker(new URL('../worker/engine-worker.ts', import.meta.url), {
    type: 'module',
    name: ELECTED_NAME,
  });
}

/** The broker that connects tabs to an elected engine. */
export function startBroker(script: WorkerScript | undefined): SharedWorker {
  if (script !== undefined) return new SharedWorker(script.address, { type: 'module', name: BROKER });
  return new SharedWorker(new URL('../worker/engine-worker.ts', import.meta.url), {
    type: 'module',
    name: BROKER,
  });
}
