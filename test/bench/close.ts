import type { BenchContext } from '../../demo/bench/bench-context.ts';
import type { CloseFigures } from '../../demo/bench/figures.ts';
import type { StreamFrame } from './frame.ts';
import { openFrame } from './open-frame.ts';
import { mean } from '../../demo/bench/statistics.mjs';

const TRIES = 5;

/** What is held for longer is lost. */
const TIMEOUT_MS = 60_000;

/** How long what a tab held stays held after the tab has gone; an iframe stands for it, with a client of its own. */
export async function measureClose(context: BenchContext): Promise<CloseFigures> {
  const { repeats } = context.sizes.close;
  const freedMs: number[] = [];
  const pollMs: number[] = [];
  for (let tried = 0; freedMs.length < repeats; tried++) {
    if (tried === repeats + TRIES) throw new Error('The answers end before their tab is closed.');
    console.log(`close: ${freedMs.length + 1} of ${repeats}`);
    const closed = await closeOnce(context, tried);
    if (closed === undefined) continue;
    freedMs.push(closed.ms);
    pollMs.push(closed.ms / closed.polls);
  }
  return { freedMs, pollMs: mean(pollMs) };
}

/** Undefined where the answer ended too early. */
async function closeOnce({ client, options }: BenchContext, seed: number) {
  const { kvBlocksUsed: usedBefore } = await client.metrics();
  const frame = await openAnswering(options.modelUrl, seed);
  const { kvBlocksUsed } = await client.metrics();
  const start = performance.now();
  frame.remove();
  if (kvBlocksUsed <= usedBefore) return undefined;
  for (let polls = 1; ; polls++) {
    const metrics = await client.metrics();
    if (metrics.requestsRunning === 0 && metrics.kvBlocksUsed <= usedBefore) {
      return { ms: performance.now() - start, polls };
    }
    if (performance.now() - start > TIMEOUT_MS) throw new Error(`A closed tab holds blocks after ${TIMEOUT_MS} ms.`);
  }
}

/** A page with a client of its own, in the middle of an answer. */
async function openAnswering(modelUrl: string, seed: number): Promise<HTMLIFrameElement> {
  const frame = await openFrame('./frame.html');
  await (frame.contentWindow as unknown as StreamFrame).stream(modelUrl, seed);
  return frame;
}
