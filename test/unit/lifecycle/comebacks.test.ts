import { expect, test } from 'vitest';
import { createRandom } from '../../support/random.ts';
import { propertyParameters } from '../scheduler/scenario.ts';
import { MODELS } from '../../support/simulation/origin.ts';
import { ANSWER, ask, inWorld } from './scenario.ts';

// Models that do not fit together, and workers, GPUs and adapters that come back late. `TABSERVE_PROPERTY_RUNS=500` tries
// more moments.

const { numRuns, seed } = propertyParameters(6);
/** More things than happen between three requests and their answers. */
const MOMENTS = 200;

/** Runs a scenario several times, with a random number of things to happen before what it is about. */
async function atMoments(play: (moment: number, ...rest: Parameters<Parameters<typeof inWorld>[1]>) => Promise<void>): Promise<void> {
  const random = createRandom(seed);
  for (let run = 0; run < numRuns; run++) {
    const moment = random.below(MOMENTS);
    await inWorld(seed + run, (...scene) => play(moment, ...scene)).catch((cause: unknown) => {
      throw new Error(`after ${moment} things: run ${run} of seed ${seed}`, { cause });
    });
  }
}

test('a worker dies whose models take turns on the GPU: every answer goes on, idle tabs answer when they are asked', async () => {
  await atMoments(async (moment, world, origin) => {
    const clients = [];
    for (const model of MODELS) clients.push(await world.settle(origin.openTab().createClient(model), `the load of ${model}`));
    const idle = await world.settle(origin.openTab().createClient('m'), 'the load of an idle tab');
    const answers = clients.map((client) => ask(client, ANSWER.length));
    await world.pass(moment);
    origin.worker().die();
    expect(await world.settle(Promise.all(answers), 'the answers')).toEqual(MODELS.map(() => ANSWER));
    for (const client of [idle, ...clients]) {
      expect(await world.settle(ask(client), 'a later answer')).toBe(ANSWER.slice(0, 3));
    }
  });
});

test('a worker dies under idle tabs: nothing is loaded until one is asked something', async () => {
  await atMoments(async (moment, world, origin) => {
    const clients = [];
    for (const model of MODELS) clients.push(await world.settle(origin.openTab().createClient(model), `the load of ${model}`));
    await world.pass(moment);
    origin.worker().die();
    const metrics = await world.settle(Promise.all(clients.map((client) => client.metrics())), 'their metrics');
    expect(metrics.map(({ state, sessions }) => [state, sessions <= 3])).toEqual(MODELS.map(() => ['parked', true]));
    expect(origin.gpu.numDevices).toBe(0);
    expect(await world.settle(ask(clients[0]!), 'an answer')).toBe(ANSWER.slice(0, 3));
    expect(origin.gpu.numDevices).toBe(1);
  });
});
