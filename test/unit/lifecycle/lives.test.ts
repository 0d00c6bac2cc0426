import { setMaxListeners } from 'node:events';
import { expect, test } from 'vitest';
import { createRandom } from '../../support/random.ts';
import { propertyParameters, type Seen } from '../scheduler/scenario.ts';
import { bodyOf, Life, MAX_TOKENS, type Prompt, PROMPTS } from './life.ts';
import { inWorld, type Sequel, SEQUELS } from './scenario.ts';

// Tabs that load, ask, abort, switch, close and delete, GPUs, workers, memory and networks that are lost, in any order and at
// any moment. `TABSERVE_PROPERTY_RUNS=1000` looks further.

setMaxListeners(100); // calls in flight listen for the end of their worker
const { numRuns, seed } = propertyParameters(16);
const answers = new Map<Prompt, string>();
const seen: Seen = new Map();
const record = { seen, answers, tokens: 0 };

/** What each prompt is answered when nothing happens. */
async function answerUndisturbed(): Promise<void> {
  await inWorld(seed, async (world, origin) => {
    const client = await world.settle(origin.openTab().createClient('m'), 'the load');
    for (const prompt of PROMPTS) {
      const { choices } = await world.settle(client.chat.completions.create(bodyOf(prompt, MAX_TOKENS)), 'the answer');
      answers.set(prompt, choices[0]?.message.content ?? '');
    }
  });
  expect([...answers.values()].map(({ length }) => length)).toEqual(PROMPTS.map(() => MAX_TOKENS));
}

test('whatever happens to tabs, GPUs and workers: everything settles, and then all goes on', async () => {
  await answerUndisturbed();
  const sequels = Object.keys(SEQUELS) as Sequel[];
  for (let run = 0; run < numRuns; run++) {
    await inWorld(seed + run, async (world, origin) => {
      const random = createRandom(seed + run);
      origin.gpu.slowness = random.below(30);
      await new Life(world, origin, random, record).run();
      await SEQUELS[sequels[run % sequels.length] ?? 'another engine'](world, origin);
    }).catch((cause: unknown) => {
      throw new Error(`run ${run} of seed ${seed}`, { cause });
    });
  }
  const lines = [...seen].toSorted(([a], [b]) => a.localeCompare(b)).map(([what, times]) => `${what} ${times}`);
  console.log(`${numRuns} seeds from ${seed}, ${record.tokens} tokens compared; ${lines.join(', ')}`);
});

test('the runs come across what they are there for', () => {
  const all = [
    'load: done', 'load: aborted', 'answer: done', 'choices: done', 'choices: aborted', 'client closed: done',
    'tab closed', 'model switched', 'GPUs lost', 'workers lost', 'deleted', 'unloaded', 'no adapter',
    'GPU memory refused', 'offline', 'listeners that threw', 'persistPrefixCache: true', 'persistPrefixCache: false',
    'clients that went on', 'answers under way at a loss',
  ];
  for (const what of all) expect(seen.get(what), what).toBeGreaterThan(0);
});
