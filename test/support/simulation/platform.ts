import { createHash } from 'node:crypto';
import { vi } from 'vitest';
import { holdLock, type Locks } from '../../../src/core/locks.ts';
import type { PartStorage } from '../../../src/storage/part-storage.ts';

type Gate = (label: string) => Promise<void>;

/** A storage whose every answer waits at a gate, as it is for a tab or worker that has these locks. */
export function gatedStorage<Manifest>(storage: PartStorage<Manifest>, gate: Gate, locks: Locks): PartStorage<Manifest> {
  const gated = <Args extends readonly unknown[], Result>(label: string, method: (...args: Args) => Promise<Result>) => {
    return async (...args: Args): Promise<Result> => {
      await gate(label);
      return method(...args);
    };
  };
  return {
    lock: async (folder, run) => {
      await gate('lock of a folder');
      const release = await holdLock(locks, `storage:${folder}`);
      return run().finally(release);
    },
    readManifest: gated('manifest read', (url) => storage.readManifest(url)),
    updateManifest: gated('manifest written', (url, change) => storage.updateManifest(url, change)),
    listManifests: gated('manifests listed', () => storage.listManifests()),
    readPart: gated('part read', (url, index) => storage.readPart(url, index)),
    writePart: gated('part written', (url, index, bytes) => storage.writePart(url, index, bytes)),
    removePart: gated('part removed', (url, index) => storage.removePart(url, index)),
    removeManifest: gated('manifest removed', (url) => storage.removeManifest(url)),
    listUrls: gated('urls listed', () => storage.listUrls()),
    listFolders: gated('folders listed', () => storage.listFolders()),
    removeFolder: gated('folder removed', (folder) => storage.removeFolder(folder)),
  };
}

export interface Server {
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  /** Whether the device is offline: nothing is answered, and what is being answered breaks off. */
  isOffline: boolean;
}

/** A server with ranges; each answer and each half of a body waits at a gate. */
export function gatedFetch(server: Server, gate: Gate): typeof fetch {
  const soon = (label: string, signal: AbortSignal | null | undefined): Promise<void> => {
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(new DOMException('aborted', 'AbortError'));
      if (signal?.aborted === true) return abort();
      signal?.addEventListener('abort', abort, { once: true });
      const fail = (): void => reject(new TypeError('Failed to fetch'));
      gate(label).then(() => (server.isOffline ? fail() : resolve()), reject);
    });
  };
  return async (input, { method = 'GET', headers, signal } = {}) => {
    await soon('answer', signal);
    const content = server.files.get(input instanceof Request ? input.url : input.toString());
    if (content === undefined) return new Response(null, { status: 404 });
    const [, from = '0', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(new Headers(headers).get('range') ?? '') ?? [];
    const [start, end] = [Number(from), to === '' ? content.length : Math.min(content.length, Number(to) + 1)];
    const halves = [start, Math.ceil((start + end) / 2), end];
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        try {
          await soon('bytes', signal);
          const [at = end] = halves.splice(0, 1);
          if (at < end) controller.enqueue(content.slice(at, halves[0]));
          else controller.close();
        } catch (error) {
          controller.error(error);
        }
      },
    });
    const told = { 'content-range': `bytes ${start}-${end - 1}/${content.length}`, etag: '"1"' };
    return new Response(method === 'HEAD' ? null : body, { status: 206, headers: told });
  };
}

/** Replaces what the product takes from its global scope. Undone by `vi.unstubAllGlobals` and `vi.restoreAllMocks`. */
export function stubGlobals(gate: Gate): void {
  vi.stubGlobal('document', { baseURI: 'https://app.test/' });
  vi.stubGlobal('MessageChannel', turnChannel(gate)); // by which long work yields
  vi.stubGlobal('navigator', { userAgent: 'simulated', onLine: true });
  vi.spyOn(crypto.subtle, 'digest').mockImplementation(async (_algorithm, data) => {
    const digest = createHash('sha256').update(new Uint8Array(data as ArrayBuffer)).digest();
    await gate('hashed');
    return Uint8Array.from(digest).buffer;
  });
}

function turnChannel(gate: Gate) {
  return class {
    readonly port1: { onmessage: (() => void) | undefined; close: () => void } = { onmessage: undefined, close: () => {} };
    readonly port2 = { postMessage: () => void gate('turn').then(() => this.port1.onmessage?.()) };
  };
}
