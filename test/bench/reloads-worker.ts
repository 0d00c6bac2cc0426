import { expose } from 'comlink';
import { sleep } from '../../src/core/sleep.ts';
import { openGpu } from '../../src/gpu/device.ts';
import type { ByteSource } from '../../src/core/byte-source.ts';
import { readModelFile } from '../../src/formats/gguf.ts';
import { openSource } from '../../src/download/open-source.ts';
import { loadRunner, type LoadRunnerOptions } from '../../src/runner/load-runner.ts';
import { BufferMeter, type GpuBytes } from './buffer-meter.ts';
import type { BenchOptions, RowFigures } from '../../demo/bench/figures.ts';
import { ModelRuns } from '../../demo/bench/models/model-runs.ts';
import { SYNTHETIC, SYNTHETIC_SHAPES, syntheticModel } from '../../demo/bench/models/synthetic-model.ts';
import { RowList } from '../../demo/bench/rows.ts';

const MIB = 2 ** 20;

/** In turn, so that what else the machine does meets both. */
const CACHES = [256 * MIB, 'auto'] as const;
type Cache = (typeof CACHES)[number];

/** Loads in a row with each of them. */
const LOADS = 4;

/** How often, and how many times, the GPU process is looked at until its memory stays as it is. */
const SETTLE_MS = 500;
const SETTLE_TRIES = 20;

/** Bytes of the browser's GPU process, where that is told. */
type ProcessBytes = () => Promise<number | undefined>;

/** One load, from the file's first byte, and what was left of it. */
interface Load {
  readonly cache: Cache;
  readonly readyMs: number;
  readonly firstTokenMs: number;
  readonly kvCacheBytes: number;
  readonly loadedBytes: number | undefined;
  /** After it was unloaded: of the GPU process, and of buffers. */
  readonly leftBytes: number | undefined;
  readonly leftBuffers: number;
}

/**
 * Loads a model, has it compute a token, unloads it, and again: with a KV cache of 256 MiB and of the size that is taken by
 * itself, in turn. The model that was asked for, and those of random weights that `--shapes` names.
 */
async function benchReloads(options: BenchOptions, processBytes: ProcessBytes, log: (line: string) => void): Promise<RowFigures> {
  const list = new RowList('reloads');
  const ignore = (): void => {};
  const { modelUrl, quick, shapes = [] } = options;
  const source = await openSource(modelUrl, { baseUrl: modelUrl, storage: null, onProgress: ignore, log: ignore });
  const others = SYNTHETIC.filter((key) => shapes.includes(key)).map((key) => syntheticModel(SYNTHETIC_SHAPES[key]));
  let subject: Pick<RowFigures, 'adapter' | 'modelName'> | undefined;
  for (const each of [source, ...others]) {
    const loads: Load[] = [];
    let name = each.id;
    for (let i = 0; i < (quick ? 1 : LOADS) * CACHES.length; i++) {
      const cache = CACHES[i % CACHES.length] ?? 'auto';
      log(`reloads: ${each.id}, ${String(cache)}`);
      const { load, adapter, modelName } = await loadOnce(each, cache, processBytes);
      subject ??= { adapter, modelName };
      name = modelName;
      loads.push(load);
    }
    for (const cache of CACHES) addRows(list, name, cache, loads.filter((load) => load.cache === cache));
  }
  if (subject === undefined) throw new Error('nothing was loaded');
  return { rows: list.rows, omitted: list.omitted, ...subject };
}

async function loadOnce(source: ByteSource, kvCacheBytes: Cache, processBytes: ProcessBytes) {
  const start = performance.now();
  const file = await readModelFile(source);
  const gpu = await openGpu();
  const meter = new BufferMeter(gpu.device);
  const options: LoadRunnerOptions = { file, gpu, kvCacheBytes };
  const loaded = await loadRunner(options);
  const readyMs = performance.now() - start;
  const { adapter, config } = loaded;
  await new ModelRuns(loaded, 1, loaded.scheduler.blockSize).prefill(1);
  const firstTokenMs = performance.now() - start;
  const loadedBytes = await processBytes();
  loaded.destroy();
  await loaded.lost; // destroyed
  const leftBytes = await settled(processBytes);
  const leftBuffers = sumOf(meter.bytes);
  const sizes = { kvCacheBytes: loaded.kvCacheBytes, loadedBytes, leftBytes, leftBuffers };
  return { load: { cache: kvCacheBytes, readyMs, firstTokenMs, ...sizes }, adapter, modelName: config.name };
}

/** What is left when memory that was given up is given back, which another process does. */
async function settled(processBytes: ProcessBytes): Promise<number | undefined> {
  let before = await processBytes();
  for (let tries = 0; tries < SETTLE_TRIES && before !== undefined; tries++) {
    await sleep(SETTLE_MS);
    const now = await processBytes();
    if (now === undefined || Math.abs(now - before) < MIB) return now;
    before = now;
  }
  return before;
}

function sumOf({ weights, kvCache, steps }: GpuBytes): number {
  return weights + kvCache + steps;
}

function addRows(list: RowList, model: string, cache: Cache, loads: readonly Load[]): void {
  const kvCache = cache === 'auto' ? cache : `${cache / MIB} MiB`;
  const add = (metric: string, unit: string, values: readonly (number | undefined)[], better: 'lower' | 'neither' = 'lower'): void => {
    for (const [i, value] of values.entries()) {
      const dimensions = { model, kvCache, load: i + 1 };
      if (value === undefined) list.omit(`${metric} of ${model}`, 'this system does not tell');
      else list.add({ metric, dimensions, unit, better, samples: [value] });
    }
  };
  const mib = (bytes: number | undefined): number | undefined => (bytes === undefined ? undefined : bytes / MIB);
  add('ready', 'ms', loads.map(({ readyMs }) => readyMs));
  add('first token', 'ms', loads.map(({ firstTokenMs }) => firstTokenMs));
  add('KV cache', 'MiB', loads.map(({ kvCacheBytes }) => mib(kvCacheBytes)), 'neither');
  add('GPU process, loaded', 'MiB', loads.map(({ loadedBytes }) => mib(loadedBytes)));
  add('GPU process, unloaded', 'MiB', loads.map(({ leftBytes }) => mib(leftBytes)));
  add('buffers left', 'MiB', loads.map(({ leftBuffers }) => mib(leftBuffers)));
}

const api = { benchReloads };
export type ReloadsBench = typeof api;
expose(api);
