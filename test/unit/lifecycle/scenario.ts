import fc from 'fast-check';
import { expect, vi } from 'vitest';
import type { Client } from '../../../src/client/client.ts';
import { TabserveError } from '../../../src/core/errors.ts';
import { type ModelName, SimulatedOrigin } from '../../support/simulation/origin.ts';
import { World } from '../../support/simulation/world.ts';

/** What an answer says: it follows from all that came before, so that a token lost or doubled changes it. */
export const ANSWER = 'aahxggndmmtj';

/** Asks for the first tokens of {@link ANSWER}. */
export async function ask(client: Client, tokens = 3, signal?: AbortSignal): Promise<string> {
  const body = { messages: [{ role: 'user', content: 'Hi' }], max_tokens: tokens, seed: 3 } as const;
  const { choices } = await client.chat.completions.create(body, { signal });
  return choices[0]?.message.content ?? '';
}

/** A promise that may fail, as its result or its error's code. Other errors are a test's own. */
export function outcome(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(() => 'done', (error: unknown) => {
    if (error instanceof TabserveError) return error.code;
    throw error;
  });
}

/** Runs a scenario in a world of its own, in an order that follows from the seed. */
export async function inWorld(
  seed: number,
  play: (world: World, origin: SimulatedOrigin) => Promise<void>,
): Promise<void> {
  const property = fc.asyncProperty(fc.scheduler(), async (scheduler) => {
    const world = new World(scheduler, seed);
    const origin = new SimulatedOrigin(world);
    try {
      await play(world, origin);
      expect([...origin.gpu.violations]).toEqual([]);
    } finally {
      world.end();
      vi.unstubAllGlobals();
      vi.restoreAllMocks();
    }
  });
  await fc.assert(property, { numRuns: 1, seed, endOnFailure: true });
}

/** A new tab loads a model, and is answered. */
export async function opens(world: World, origin: SimulatedOrigin, model: ModelName): Promise<Client> {
  const client = await world.settle(origin.openTab().createClient(model), `a new tab's load of ${model}`);
  expect(await world.settle(ask(client), `a new tab's answer of ${model}`)).toBe(ANSWER.slice(0, 3));
  return client;
}

/** What is tried when something has happened, whatever that was. */
export const SEQUELS = {
  /** The same model and another one load and answer, and a GPU that is lost meanwhile is recovered. */
  'loads and a lost GPU': async (world: World, origin: SimulatedOrigin): Promise<void> => {
    const loads = [origin.openTab().createClient('m'), origin.openTab().createClient('x')] as const;
    const [first, second] = await world.settle(Promise.all(loads), 'the next load, and one of another model');
    const answers = [ask(first, ANSWER.length), ask(second)];
    await world.pass(4);
    origin.gpu.crash();
    const texts = await world.settle(Promise.all(answers), 'answers, and a lost GPU under them');
    expect(texts).toEqual([ANSWER, ANSWER.slice(0, 3)]);
  },
  /** Another release of the page gets the GPU, with a worker of its own, and gives it back. */
  'another engine': async (world: World, origin: SimulatedOrigin): Promise<void> => {
    const other = await world.settle(origin.openTab({ release: 2 }).createClient('y'), 'the load of another engine');
    expect(await world.settle(ask(other), 'the answer of another engine')).toBe(ANSWER.slice(0, 3));
    await opens(world, origin, 'm');
  },
} as const;
export type Sequel = keyof typeof SEQUELS;
