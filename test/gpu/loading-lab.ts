import { expect, inject } from 'vitest';
import { listModels } from '../../src/cache.ts';
import { openSource } from '../../src/download/open-source.ts';
import { readModelFile } from '../../src/formats/gguf.ts';
import { type LoadedRunner, loadRunner } from '../../src/runner/load-runner.ts';
import type { FaultCommand, FaultLog } from '../support/fault-control.ts';
import type { FileFaults } from '../support/file-server.ts';
import type {} from '../support/serve-faults.ts';
import { sharedGpu } from '../support/shared-gpu.ts';
import { loadFrom, PART, SIZE } from './loading-once.ts';
import type { LoadSetup, Told } from './loading-once.ts';
import type { WorkerAsks, WorkerTells } from './loading-worker.ts';

export { PART, SIZE } from './loading-once.ts';

export const servers = inject('faultServers');
export const URL_OF_MODEL = `${servers.hub}/m.gguf`;
export const NAME = 'hf:o/r/m.gguf';
export const [FIRST, SECOND] = ['a'.repeat(40), 'b'.repeat(40)] as const;
export const commitUrl = (commit: string): string => `${servers.hub}/o/r/resolve/${commit}/m.gguf`;

export async function command(order: FaultCommand): Promise<FaultLog> {
  const response = await fetch(servers.control, { method: 'POST', body: JSON.stringify(order) });
  return (await response.json()) as FaultLog;
}

/** Serves the model's file at {@link URL_OF_MODEL}. */
export async function serve(faults: FileFaults = {}, seed = 1): Promise<void> {
  await command({ do: 'serve', at: 'hub', path: '/m.gguf', content: { length: SIZE, seed }, faults });
}

export async function misbehave(faults: FileFaults): Promise<void> {
  await command({ do: 'misbehave', at: 'hub', path: '/m.gguf', faults });
}

/** A link of S3's to the model, that expires in so many seconds. */
export function signed(signature: string, expiresIn = 3600): string {
  const date = new Date(Date.now() + (expiresIn - 3600) * 1000).toISOString().replace(/[-:]|\.\d+/g, '');
  return `${URL_OF_MODEL}?X-Amz-Date=${date}&X-Amz-Expires=3600&X-Amz-Signature=${signature}`;
}

export async function publish(commit: string, seed = 1, more: { oid?: string; token?: string } = {}): Promise<void> {
  await command({ do: 'publish', commit, content: { length: SIZE, seed }, ...more });
}

/** The parts of the model that were asked for, by number, in order. */
export async function partsAsked(): Promise<readonly number[]> {
  const { hub, cdn } = await command({ do: 'log' });
  const starts = [...hub, ...cdn].flatMap(({ method, range, status }) =>
    method === 'GET' && status === 206 && range !== 'bytes=0-63' ? [Number(range?.match(/\d+/)?.[0])] : [],
  );
  return starts.map((start) => Math.floor(start / PART)).toSorted((a, b) => a - b);
}

/** Loads the whole; throws where it is not what it should be, or what loading throws. */
export function load(name: string, setup: LoadSetup = {}): Promise<Told> {
  return loadFrom(servers.hub, name, setup);
}

/** Reads some parts, and stops when they, and the one that is fetched ahead, are stored. */
export async function loadSome(parts: number): Promise<void> {
  await load(URL_OF_MODEL, { until: parts * PART });
  await expect.poll(async () => (await kept())[URL_OF_MODEL], { timeout: 30_000 }).toBe(parts + 1);
}

/** The file of a stored part, of the only model that is stored. */
export async function partFile(index: number): Promise<FileSystemFileHandle> {
  const models = await (await navigator.storage.getDirectory()).getDirectoryHandle('tabserve-models');
  for await (const model of models.values()) {
    if (model instanceof FileSystemDirectoryHandle) return model.getFileHandle(`part-0000${index}`);
  }
  throw new Error('nothing is stored');
}

/** Changes a stored part behind the loader's back. */
export async function spoil(index: number, change: (file: FileSystemWritableFileStream) => Promise<void>): Promise<void> {
  const writable = await (await partFile(index)).createWritable({ keepExistingData: true });
  await change(writable);
  await writable.close();
}

/** The error that a load ends with. */
export async function failure(name: string, setup: LoadSetup = {}): Promise<unknown> {
  return load(name, { attempts: 3, ...setup }).then(
    () => new Error('it was loaded'),
    (error: unknown) => error,
  );
}

/** Loads the model onto the file's shared device. */
export async function loadOntoGpu(name: string): Promise<LoadedRunner> {
  const source = await openSource(name, { baseUrl: location.href, onProgress: () => {}, log: () => {} });
  const file = await readModelFile(source);
  return loadRunner({ file, gpu: await sharedGpu(), subgroups: false, kvCacheBytes: 2 ** 24 });
}

/** What is stored: parts by what they are stored under. */
export async function kept(): Promise<Readonly<Record<string, number>>> {
  const models = await listModels();
  return Object.fromEntries(models.map(({ url, bytesCached }) => [url, Math.ceil(bytesCached / PART)]));
}

/** A worker that loads, and says how far it is: `until` that many bytes are read, then it can be ended. */
export function startWorker(asks: Omit<WorkerAsks, 'endpoint'>, until = Infinity): { worker: Worker; told: Promise<WorkerTells> } {
  const worker = new Worker(new URL('./loading-worker.ts', import.meta.url), { type: 'module' });
  const told = new Promise<WorkerTells>((resolve, reject) => {
    worker.onerror = () => reject(new Error('the worker did not start'));
    worker.onmessage = ({ data }: MessageEvent<WorkerTells>) => {
      if (data.isDone || data.bytesRead >= until) resolve(data);
    };
  });
  worker.postMessage({ ...asks, endpoint: servers.hub });
  return { worker, told };
}
