import { setMaxListeners } from 'node:events';
import { expect, test } from 'vitest';
import type { Client } from '../../../src/client/client.ts';
import { createRandom, type Random } from '../../support/random.ts';
import { MODELS, type SimulatedOrigin, type SimulatedTab } from '../../support/simulation/origin.ts';
import type { World } from '../../support/simulation/world.ts';
import { count, propertyParameters, type Seen } from '../scheduler/scenario.ts';
import { inWorld, outcome, type Sequel, SEQUELS } from './scenario.ts';

// Tabs that load, ask, abort, close and delete, GPUs and workers that are lost, in any order and at any moment.
// `TABSERVE_PROPERTY_RUNS=1000` looks further.

setMaxListeners(100); // calls in flight listen for the end of their worker
const { numRuns, seed } = propertyParameters(12);
const EVENTS = 12;
/** More things than happen to a load. */
const LONGEST_PAUSE = 40;
/** Within one plan, and in several. */
const PROMPTS = ['Hi', `Tell me ${'more and '.repeat(5)}more`] as const;
const seen: Seen = new Map();
/** The longest answer that a prompt has had, which is the beginning of all others. */
const answers = new Map<string, string>();

interface Tab {
  readonly tab: SimulatedTab;
  readonly loading: Promise<Client>;
}

class Life {
  readonly #world: World;
  readonly #origin: SimulatedOrigin;
  readonly #random: Random;
  readonly #tabs: Tab[] = [];
  /** Closed by their users: nobody hears what becomes of what they asked. */
  readonly #gone = new Set<Tab>();
  /** What must settle, with the tab that hears of it. */
  readonly #pending: { readonly what: string; readonly tab: Tab; readonly settled: Promise<unknown> }[] = [];

  constructor(world: World, origin: SimulatedOrigin, random: Random) {
    this.#world = world;
    this.#origin = origin;
    this.#random = random;
  }

  async run(): Promise<void> {
    this.#open();
    for (let i = 0; i < EVENTS; i++) {
      await this.#world.pass(this.#random.below(LONGEST_PAUSE));
      this.#happen();
    }
    for (const { what, tab, settled } of this.#pending) {
      if (!this.#gone.has(tab)) count(seen, `${what}: ${String(await this.#world.settle(settled, what))}`);
    }
    for (const { tab } of this.#tabs) tab.close();
    count(seen, 'unloaded', this.#origin.log.filter((line) => line.includes('is off the GPU to make room')).length);
  }

  #happen(): void {
    const event = this.#random.below(12);
    if (event < 3) this.#open();
    else if (event < 8) this.#ask();
    else if (event < 9) this.#close();
    else if (event < 10) this.#lose();
    else if (event < 11) this.#delete();
    else this.#kill();
  }

  #open(): void {
    const release = this.#random.below(6) === 0 ? 2 : 1;
    const tab = this.#origin.openTab({ release });
    const cancel = new AbortController();
    const opened = { tab, loading: tab.createClient(this.#pick(MODELS), { signal: cancel.signal }) };
    this.#tabs.push(opened);
    this.#watch('load', opened, opened.loading);
    if (this.#random.below(4) === 0) this.#world.after(this.#random.below(2 * LONGEST_PAUSE), () => cancel.abort());
  }

  #ask(): void {
    const tab = this.#tabs[this.#random.below(this.#tabs.length)];
    if (tab === undefined) return;
    const content = this.#pick(PROMPTS);
    const n = 1 + this.#random.below(3);
    const body = { messages: [{ role: 'user', content }], max_tokens: 1 + this.#random.below(12), seed: 3, n } as const;
    const cancel = new AbortController();
    const isAborted = this.#random.below(3) === 0;
    const abortAfter = 1 + this.#random.below(12);
    const answered = tab.loading.then(async (client) => {
      const answering = client.chat.completions.create(body, { signal: cancel.signal });
      if (isAborted) this.#world.after(abortAfter, () => cancel.abort());
      for (const { message } of (await answering).choices) checkAnswer(content, message.content);
    });
    this.#watch(n === 1 ? 'answer' : 'choices', tab, answered);
  }

  #close(): void {
    const [closed] = this.#tabs.splice(this.#random.below(this.#tabs.length), 1);
    if (closed === undefined) return;
    if (this.#random.below(2) === 0) {
      this.#watch('client closed', closed, closed.loading.then((client) => client.close()));
    } else {
      closed.tab.close();
      this.#gone.add(closed);
      count(seen, 'tab closed');
    }
  }

  #lose(): void {
    this.#origin.gpu.crash();
    count(seen, 'GPUs lost');
  }

  #kill(): void {
    if (this.#random.below(2) === 0) return;
    this.#origin.worker(1 + this.#random.below(2)).die();
    count(seen, 'workers lost');
  }

  #delete(): void {
    void this.#origin.deleteModel(this.#pick(MODELS));
    count(seen, 'deleted');
  }

  #watch(what: string, tab: Tab, promise: Promise<unknown>): void {
    this.#pending.push({ what, tab, settled: outcome(promise) });
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)] as T;
  }
}

function checkAnswer(prompt: string, text: string): void {
  const known = answers.get(prompt) ?? '';
  expect(known.slice(0, text.length)).toBe(text.slice(0, known.length));
  if (text.length > known.length) answers.set(prompt, text);
}

test('whatever happens to tabs, GPUs and workers: everything settles, and then all goes on', async () => {
  const sequels = Object.keys(SEQUELS) as Sequel[];
  for (let run = 0; run < numRuns; run++) {
    await inWorld(seed + run, async (world, origin) => {
      const random = createRandom(seed + run);
      origin.gpu.slowness = random.below(30);
      await new Life(world, origin, random).run();
      await SEQUELS[sequels[run % sequels.length] ?? 'another engine'](world, origin);
    }).catch((cause: unknown) => {
      throw new Error(`run ${run} of seed ${seed}`, { cause });
    });
  }
});

test('the runs come across what they are there for', () => {
  for (const what of ['load', 'answer', 'choices']) {
    for (const how of ['done', 'aborted']) expect(seen.get(`${what}: ${how}`), `${what}: ${how}`).toBeGreaterThan(1);
  }
  const others = ['client closed: done', 'tab closed', 'GPUs lost', 'workers lost', 'deleted', 'unloaded'];
  for (const what of others) expect(seen.get(what), what).toBeGreaterThan(0);
  expect([...seen.keys()].filter((what) => what.endsWith(': internal'))).toEqual([]);
});
