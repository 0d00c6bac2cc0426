import { expect, test } from 'vitest';
import { createRandom } from '../../support/random.ts';
import type { SimulatedOrigin } from '../../support/simulation/origin.ts';
import type { World } from '../../support/simulation/world.ts';
import { propertyParameters } from '../scheduler/scenario.ts';
import { ANSWER, ask, inWorld, opens, outcome, type Sequel, SEQUELS } from './scenario.ts';

// The real client, session, host and loader, over a platform whose every answer (messages, locks, storage, network, GPU)
// comes when fast-check's scheduler says so. `TABSERVE_PROPERTY_RUNS=2000` tries every way at every moment several times.

const WAYS = ['abort', 'close', 'reload', 'owner closed'] as const;
type Way = (typeof WAYS)[number];

/** More things than happen between `createClient` and its client. */
const MOMENTS = 70;
const { numRuns, seed } = propertyParameters(32);

/** Gives up a load of `m` after so many things have happened. What it returns settles once that is over with. */
function giveUp(world: World, origin: SimulatedOrigin, way: Way, moment: number) {
  const tab = origin.openTab();
  const cancel = new AbortController();
  const loading = tab.createClient('m', { signal: cancel.signal });
  void outcome(loading); // nobody may be left to hear of it
  return world.pass(moment).then(async () => {
    if (way === 'abort') {
      cancel.abort();
      const code = await world.settle(outcome(loading), 'the load that was aborted');
      expect(['aborted', 'done']).toContain(code);
    } else if (way === 'owner closed') {
      origin.worker().die();
      expect(await world.settle(loading.then((client) => ask(client)), 'the load after its worker’s death')).toBe('aah');
    } else {
      tab.close();
      if (way === 'reload') await opens(world, origin, 'm');
    }
  });
}

/** Every way at every moment, in an order that the seed says. */
const random = createRandom(seed);
const sequels = Object.keys(SEQUELS) as Sequel[];
const cases = WAYS.flatMap((way) => Array.from({ length: MOMENTS }, (_, moment) => ({ way, moment, order: random.uniform() })))
  .toSorted((a, b) => a.order - b.order);

test('a load is given up at any moment: later loads, other tabs’ answers and a lost GPU go on', async () => {
  for (let run = 0; run < numRuns; run++) {
    const { way, moment } = cases[run % cases.length] ?? { way: 'abort', moment: 0 };
    const sequel = sequels[run % sequels.length] ?? 'another engine';
    const name = `${way} after ${moment} things, then ${sequel}: run ${run} of seed ${seed}`;
    await inWorld(seed + run, async (world, origin) => {
      origin.gpu.slowness = random.below(30);
      const other = await opens(world, origin, 'x');
      const answer = ask(other, ANSWER.length);
      await giveUp(world, origin, way, moment);
      await SEQUELS[sequel](world, origin);
      expect(await world.settle(answer, 'the other tab’s answer')).toBe(ANSWER);
    }).catch((cause: unknown) => {
      throw new Error(name, { cause });
    });
  }
});
