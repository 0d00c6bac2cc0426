import type { BenchOptions, RowFigures } from '../../demo/bench/figures.ts';
import { inWorker } from '../../demo/bench/in-worker.ts';
import type { ReadBench } from './read-worker.ts';
import { openFrame } from './open-frame.ts';
import { RowList } from '../../demo/bench/rows.ts';
import type { StartFrame, StartTimes } from './start-frame.ts';

const WAIT_MS = 30_000;

/** What is started with: nothing stored; the weights; another tab's engine. */
type Kind = 'cold' | 'warm' | 'beside another tab';

/**
 * How long a page takes to its client and to the first text. Each start is an iframe's, with a client of its own; before a
 * cold or a warm one no engine of the origin lives. Nothing else of this page may have a client.
 */
export async function measureStart(options: BenchOptions): Promise<RowFigures> {
  const { modelUrl, repeats } = options;
  const samples = new Samples();
  for (let i = 0; i < repeats; i++) {
    console.log(`start: ${i + 1} of ${repeats}`);
    await noEngine();
    await clearStorage();
    const cold = await samples.take('cold', modelUrl);
    cold.remove();
    await noEngine();
    samples.readMs.push(await timeReading(modelUrl));
    const warm = await samples.take('warm', modelUrl);
    const other = await samples.take('beside another tab', modelUrl);
    other.remove();
    warm.remove();
  }
  await noEngine();
  return samples.figures();
}

class Samples {
  readonly readMs: number[] = [];
  readonly #starts: { readonly kind: Kind; readonly times: StartTimes; readonly bytesFetched: number }[] = [];

  /** Starts once. @returns the page, which keeps the engine alive */
  async take(kind: Kind, modelUrl: string): Promise<HTMLIFrameElement> {
    const frame = await openFrame('./start-frame.html');
    const before = await modelBytesSent();
    const times = await (frame.contentWindow as unknown as StartFrame).start(modelUrl);
    const bytesFetched = (await modelBytesSent()) - before;
    this.#starts.push({ kind, times, bytesFetched });
    const [first] = this.#starts;
    if (first?.times.text === times.text) return frame;
    throw new Error(`a ${kind} start answered "${times.text}", and a cold one "${first?.times.text}"`);
  }

  figures(): RowFigures {
    const list = new RowList('start');
    const [first] = this.#starts;
    const { adapter, modelName: model = '' } = first?.times ?? {};
    if (adapter === undefined) throw new Error('a model is loaded, and there is no adapter');
    for (const kind of ['cold', 'warm', 'beside another tab'] as const) this.#rowsOf(kind, model, list);
    const { readMs } = this;
    list.add({ metric: 'reading the cache', dimensions: { model }, unit: 'ms', better: 'lower', samples: readMs });
    const warm = this.#starts.filter(({ kind }) => kind === 'warm');
    const ratios = warm.map(({ times }, i) => times.firstTextMs / (readMs[i] ?? NaN));
    const dimensions = { model, start: 'warm' };
    list.add({ metric: 'first text, of reading the cache', dimensions, unit: 'times', better: 'lower', samples: ratios });
    return { rows: list.rows, omitted: list.omitted, adapter, modelName: model };
  }

  #rowsOf(kind: Kind, model: string, list: RowList): void {
    const starts = this.#starts.filter((start) => start.kind === kind);
    const dimensions = { model, start: kind };
    const add = (metric: string, unit: string, samples: readonly number[]): void => {
      list.add({ metric, dimensions, unit, better: 'lower', samples });
    };
    add('ready', 'ms', starts.map(({ times }) => times.readyMs));
    add('first text', 'ms', starts.map(({ times }) => times.firstTextMs));
    add('fetched', 'B', starts.map(({ bytesFetched }) => bytesFetched));
    for (const stage of ['open', 'download', 'load', 'compile'] as const) {
      const began = starts.flatMap(({ times }) => times.stages[stage] ?? []);
      if (began.length === starts.length) add(`${stage} begins`, 'ms', began);
    }
  }
}

/** Resolves when no engine of this origin lives: each holds locks for as long as it does. */
async function noEngine(): Promise<void> {
  const start = performance.now();
  while (performance.now() - start < WAIT_MS) {
    const { held = [] } = await navigator.locks.query();
    if (!held.some(({ name }) => name?.startsWith('tabserve:'))) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { held = [] } = await navigator.locks.query();
  const names = held.map(({ name }) => name).join(', ');
  throw new Error(`an engine lives ${WAIT_MS} ms after its last page: it holds ${names}`);
}

/** Deletes all that this origin has stored. */
async function clearStorage(): Promise<void> {
  const root = await navigator.storage.getDirectory();
  for await (const name of root.keys()) await root.removeEntry(name, { recursive: true });
  for (const { name } of await indexedDB.databases()) if (name !== undefined) await deleteDatabase(name);
}

function deleteDatabase(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(name);
    request.addEventListener('success', () => resolve());
    request.addEventListener('error', () => reject(request.error ?? new Error(`${name} cannot be deleted`)));
  });
}

/** As the server counts them: a worker's requests are not seen here. */
async function modelBytesSent(): Promise<number> {
  return (await (await fetch('./model-bytes-sent')).json()) as number;
}

/** Milliseconds, by a worker that does nothing else. */
function timeReading(modelUrl: string): Promise<number> {
  const worker = new Worker(new URL('./read-worker.ts', import.meta.url), { type: 'module' });
  return inWorker<ReadBench, number>(worker, (reader) => reader.timeReading(modelUrl));
}
