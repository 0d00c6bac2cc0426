import { type Fault, injectFault } from '../../src/testing.ts';
import type { BenchContext } from '../../demo/bench/bench-context.ts';
import type { FailoverFigures, FailoverSample } from '../../demo/bench/figures.ts';
import { failoverTimes } from '../../demo/bench/statistics.mjs';
import { requireAnswer, textTimes, timeRequest, userSays } from '../../demo/bench/time-request.ts';
import { promptOf } from '../../demo/bench/workload.ts';

/** Pieces of text before the fault, and after it. */
const TEXTS_BEFORE = 8;
const TEXTS_AFTER = 2;

/** A short answer may have ended before the fault was felt; another prompt is tried. */
const TRIES = 5;

/** How long a stream stands still when the engine under it dies. */
export async function measureFailover(context: BenchContext): Promise<FailoverFigures['samples']> {
  return { device_lost: await breakOften(context, 'device_lost'), worker_died: await breakOften(context, 'worker_died') };
}

async function breakOften(context: BenchContext, fault: Fault): Promise<readonly FailoverSample[]> {
  const { repeats } = context.sizes.failover;
  const samples: FailoverSample[] = [];
  for (let tried = 0; samples.length < repeats; tried++) {
    if (tried === repeats + TRIES) throw new Error(`The answers end before ${fault} is felt.`);
    console.log(`failover: ${fault}, ${samples.length + 1} of ${repeats}`);
    const sample = await breakOnce(context, fault, tried);
    if (sample !== undefined) samples.push(sample);
  }
  return samples;
}

/** Undefined where the answer ended too early. */
async function breakOnce(context: BenchContext, fault: Fault, seed: number): Promise<FailoverSample | undefined> {
  const { client } = context;
  const stop = new AbortController();
  const texts = { before: 0, after: 0 };
  const events = { injectedAt: NaN, recoveringAt: NaN, readyAt: NaN };
  let injected = Promise.resolve();
  client.onStatus(({ state }) => {
    const now = performance.now();
    if (state === 'recovering' && Number.isNaN(events.recoveringAt)) events.recoveringAt = now;
    if (state === 'ready' && !Number.isNaN(events.recoveringAt)) events.readyAt = now;
  });
  const onText = (now: number): void => {
    if (Number.isNaN(events.readyAt)) texts.before++;
    else if (++texts.after === TEXTS_AFTER) stop.abort();
    if (texts.before !== TEXTS_BEFORE || !Number.isNaN(events.injectedAt)) return;
    events.injectedAt = now;
    injected = injectFault(client, fault);
  };
  const question = { messages: userSays(promptOf(seed, 4)), salt: context.salt(), signal: stop.signal, onText };
  const times = await requireAnswer(timeRequest(client, question));
  await injected;
  await client.metrics(); // waits until the engine is back, should the answer have ended before
  client.onStatus(() => {});
  return failoverTimes(textTimes(times), events);
}
