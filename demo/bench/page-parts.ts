import { proxy } from 'comlink';
import { type BenchContext, openBenchContext, ttftOf } from './bench-context.ts';
import { measureBusy } from './busy.ts';
import type { BenchOptions, ClientFigures, PartFigures, RowFigures } from './figures.ts';
import { inWorker } from './in-worker.ts';
import { measureLoad } from './load.ts';
import type { ModelsBench } from './models/models-worker.ts';
import { measurePrefix } from './prefix.ts';
import { measureStall } from './stall.ts';
import { requireAnswer, timeRequest, userSays } from './time-request.ts';

/** A worker's own console is not shown, so its parts log to the page's. */
export const log = proxy((line: string) => console.log(line));

let opened: Promise<BenchContext> | undefined;

/** The context that all parts with a client share. */
export function context(options: BenchOptions): Promise<BenchContext> {
  opened ??= openBenchContext(options);
  return opened;
}

/** Speeds of the model, and of models of random weights in the shapes of others, one after the other on a GPU of their own. */
function measureModels(options: BenchOptions): Promise<RowFigures> {
  const worker = new Worker(new URL('./models/models-worker.ts', import.meta.url), { type: 'module' });
  return inWorker<ModelsBench, RowFigures>(worker, ({ benchModels }) => benchModels(options, log));
}

/** The first token's way: page, SharedWorker, tokenizer, scheduler, GPU and back. */
async function measureTtft({ client, options, salt }: BenchContext): Promise<ClientFigures> {
  console.log('ttft: measuring');
  const ttftMs: number[] = [];
  let promptTokens = 0;
  for (let i = 0; i < options.repeats; i++) {
    const messages = userSays('What is the capital of France?');
    const times = await requireAnswer(timeRequest(client, { messages, maxTokens: 4, salt: salt() }));
    ttftMs.push(ttftOf(times));
    promptTokens = times.promptTokens;
  }
  return { promptTokens, ttftMs };
}

/** Measures a part with the options of a run. */
export type Measure<Figures> = (options: BenchOptions) => Promise<Figures>;

/** The parts that break nothing, which a page for visitors may measure. */
export const PAGE_PARTS = {
  models: measureModels,
  ttft: async (options) => measureTtft(await context(options)),
  busy: async (options) => measureBusy(await context(options)),
  load: async (options) => measureLoad(await context(options)),
  stall: async (options) => measureStall(await context(options)),
  prefix: async (options) => measurePrefix(await context(options)),
} satisfies { readonly [Part in keyof PartFigures]?: Measure<PartFigures[Part]> };

export type PagePart = keyof typeof PAGE_PARTS;
