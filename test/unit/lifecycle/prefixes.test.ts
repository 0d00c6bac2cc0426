import { expect, test } from 'vitest';
import type { Client } from '../../../src/client/client.ts';
import { createRandom } from '../../support/random.ts';
import type { SimulatedOrigin } from '../../support/simulation/origin.ts';
import type { World } from '../../support/simulation/world.ts';
import { propertyParameters } from '../scheduler/scenario.ts';
import { inWorld, type Sequel, SEQUELS } from './scenario.ts';

// What an engine does while it is idle, restoring kept prefixes and keeping others, ended at any moment.
// `TABSERVE_PROPERTY_RUNS=500` tries more of them.

const { numRuns, seed } = propertyParameters(6);
/** More things than happen between the loss of a GPU and the last block restored. */
const MOMENTS = 120;
const persistent = { settings: { persistPrefixCache: true } } as const;

/** Asks for one token after a prompt of many blocks. */
async function askLong(client: Client): Promise<string> {
  const body = { messages: [{ role: 'user', content: 'more and '.repeat(6) }], max_tokens: 1, seed: 3 } as const;
  return (await client.chat.completions.create(body)).choices[0]?.message.content ?? '';
}

interface Scene {
  readonly world: World;
  readonly origin: SimulatedOrigin;
  readonly client: Client;
  readonly close: () => void;
}

const ENDS = {
  'a request': async ({ world, client }: Scene): Promise<void> => {
    expect(await world.settle(askLong(client), 'a request while blocks are restored')).toMatch(/^[a-z]$/);
  },
  'the tab closes': async ({ close }: Scene): Promise<void> => close(),
  'the GPU is lost again': async ({ world, origin, client }: Scene): Promise<void> => {
    origin.gpu.crash();
    expect(await world.settle(askLong(client), 'a request after two losses')).toMatch(/^[a-z]$/);
  },
  'other models take its place': async ({ world, origin, client }: Scene): Promise<void> => {
    for (const model of ['x', 'y'] as const) await world.settle(origin.openTab().createClient(model), `the load of ${model}`);
    expect(await world.settle(askLong(client), 'a request of the model that was unloaded')).toMatch(/^[a-z]$/);
  },
  'what is kept is deleted': async ({ world, origin }: Scene): Promise<void> => {
    const tab = origin.openTab({ settings: { persistPrefixCache: false } });
    await world.settle(tab.createClient('x'), 'the load of a tab that keeps nothing');
  },
} as const;

test('restoring prefixes is ended at any moment: what comes next goes on', async () => {
  const random = createRandom(seed);
  const ends = Object.entries(ENDS);
  const sequels = Object.keys(SEQUELS) as Sequel[];
  let restored = 0;
  for (let run = 0; run < numRuns; run++) {
    const [name, end] = ends[run % ends.length] ?? ['nothing', async () => {}];
    const moment = random.below(MOMENTS);
    await inWorld(seed + run, async (world, origin) => {
      const tab = origin.openTab(persistent);
      const client = await world.settle(tab.createClient('m'), 'the load');
      for (let i = 0; i < 2; i++) await world.settle(askLong(client), 'the first answers');
      await world.until(() => origin.log.some((line) => line.includes(': kept')), 'keeping the prefix');
      origin.gpu.crash();
      await world.pass(moment);
      await end({ world, origin, client, close: () => tab.close() });
      if (origin.log.some((line) => line.includes('restored'))) restored++;
      await SEQUELS[sequels[run % sequels.length] ?? 'another engine'](world, origin);
    }).catch((cause: unknown) => {
      throw new Error(`${name} after ${moment} things: run ${run} of seed ${seed}`, { cause });
    });
  }
  expect(restored).toBeGreaterThan(0);
});
