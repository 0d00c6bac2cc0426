import { expect } from 'vitest';
import type { EngineRequest, RequestOutput } from '../../../src/core/request.ts';
import { Engine } from '../../../src/engine/engine.ts';
import { GpuLock } from '../../../src/engine/gpu-lock.ts';
import { IdleQueue } from '../../../src/engine/idle-queue.ts';
import { PrefixKeeper } from '../../../src/engine/prefix-keeper.ts';
import type { PrefixManifest } from '../../../src/storage/prefix-manifest.ts';
import { PrefixStore } from '../../../src/storage/prefix-store.ts';
import { Scheduler } from '../../../src/scheduler/scheduler.ts';
import { type MemoryStorage, memoryStorage } from '../storage/memory-storage.ts';
import { FakeRunner } from '../scheduler/fake-runner.ts';
import { CONFIG, makeRequest as makeAnyRequest } from '../scheduler/requests.ts';

export const config = { ...CONFIG, numBlocks: 64 };
const BLOCK_BYTES = 4 * config.blockSize;

/** Of a session that allows that its prompts are kept. */
export function makeRequest(...[requestId, length, sampling]: Parameters<typeof makeAnyRequest>): EngineRequest {
  return makeAnyRequest(requestId, length, sampling, { persistPrefix: true });
}

export interface Options {
  readonly storage?: MemoryStorage<PrefixManifest>;
  readonly name?: string;
  readonly numBlocks?: number;
  /** What reading a block takes, in the clock's milliseconds. */
  readonly readMs?: number;
  /** What a step takes. */
  readonly stepMs?: number;
}

/** An engine with a keeper: everything real but the GPU, the disk and the time. */
export function start({ storage = memoryStorage(), name = 'set', numBlocks = 64, readMs = 1, stepMs = 100 }: Options = {}) {
  const lines: string[] = [];
  let time = 0;
  const clock = (): number => time;
  const runner = new FakeRunner({ ...config, numBlocks });
  const scheduler = new Scheduler({ ...config, numBlocks });
  const log = (_level: string, line: string): void => void lines.push(line);
  const seen = { reads: 0, writes: 0 };
  /** Called before a block is read from the GPU or written to it. */
  const hooks = { onCopy: (): void => {} };
  /** Whose logits are no numbers. */
  const failing = new Set<string>();
  const gpuLock = new GpuLock();
  const keeper = new PrefixKeeper({
    prefixes: scheduler.prefixes,
    transfer: {
      async read(block) {
        seen.reads++;
        const bytes = new Uint8Array(Int32Array.from(runner.readBlock(block)).buffer);
        hooks.onCopy();
        await turn();
        return bytes;
      },
      async write(block, bytes) {
        seen.writes++;
        runner.writeBlock(block, [...new Int32Array(bytes.buffer)]);
        hooks.onCopy();
        time += readMs;
        await turn();
      },
    },
    openStore: () => {
      const options = { storage, name, blockSize: config.blockSize, blockBytes: BLOCK_BYTES, maxBytes: 2 ** 20 };
      return PrefixStore.open({ ...options, log: (line) => lines.push(line) });
    },
    stats: () => engine.stats(),
    gpuLock,
    clock,
    now: () => 1_000_000 + time,
    log,
  });
  const isBusy = (): boolean => engine.stats().requestsRunning + engine.stats().requestsWaiting > 0;
  const queue = new IdleQueue({ isBusy, gpuLock, log });
  queue.add(keeper);
  const stepped = { execute: async (plan: Parameters<FakeRunner['execute']>[0]) => {
    await turn();
    time += stepMs;
    const output = await runner.execute(plan);
    const failed = plan.requests.filter(({ requestId }) => failing.has(requestId));
    const error = { code: 'internal', message: 'not numbers' } as const;
    return { ...output, failures: new Map(failed.map(({ requestId }) => [requestId, error])) };
  } };
  const engine = new Engine({ scheduler, runner: stepped, clock, gpuLock, onIdle: () => queue.onIdle() });
  const outputs: RequestOutput[] = [];
  const stop = new AbortController();
  void (async () => {
    for await (const step of engine.run(stop.signal)) outputs.push(...step);
  })();
  const answer = (id: string) => {
    const all = outputs.filter(({ requestId }) => requestId === id);
    return { outputTokenIds: all.flatMap(({ newTokenIds }) => newTokenIds), cached: all.at(-1)?.numCachedTokens };
  };
  const untilIdle = async (): Promise<void> => {
    while (isBusy()) await turn();
  };
  /** Answers a request, whatever the keeper does meanwhile. */
  const finish = (request: EngineRequest): Promise<void> => {
    engine.add(request);
    return untilIdle();
  };
  /** Until neither the engine nor the keeper has anything to do. */
  const settle = async (): Promise<void> => {
    await untilIdle();
    for (let i = 0; i < 10; i++) await turn(); // the engine's last outputs, and its idle moment
    await queue.settled();
  };
  const ask = async (...requests: EngineRequest[]): Promise<void> => {
    for (const request of requests) engine.add(request);
    await settle();
  };
  return { storage, lines, scheduler, engine, keeper, queue, seen, hooks, failing, ask, finish, answer, settle };
}

export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export const asked = makeRequest('asked', 44);
export const again = { ...asked, requestId: 'again' };
export const numKept = ({ storage }: ReturnType<typeof start>): number => storage.manifests.get('set')?.blocks.length ?? 0;

/** A storage in which the ten full blocks of `asked` are kept that a second request finds. */
export async function keptStorage(options: Options = {}): Promise<MemoryStorage<PrefixManifest>> {
  const engine = start(options);
  await engine.ask(asked);
  expect(numKept(engine)).toBe(0);
  await engine.ask(again);
  expect(numKept(engine)).toBe(10);
  expect(engine.lines).toEqual(['Prefix cache: kept 10 more blocks in this browser\'s storage.']);
  return engine.storage;
}
