import { describe, expect, test } from 'vitest';
import { CONFIG, makeRequest } from './requests.ts';
import { Simulation } from './simulation.ts';

describe('a request for which the runner finds no token', () => {
  test('ends with the error, and the others go on', () => {
    const sim = new Simulation(CONFIG);
    sim.add(makeRequest('a', 5));
    sim.add(makeRequest('b', 5));
    sim.step();
    sim.failing.add('a');
    const error = { code: 'internal', message: 'not numbers' };
    expect(sim.step()?.outputs).toMatchObject([
      { requestId: 'a', newTokenIds: [], finishReason: 'abort', firstScheduledTime: 1, error },
      { requestId: 'b', newTokenIds: { length: 1 }, finishReason: undefined },
    ]);
    expect(sim.scheduler.stats()).toMatchObject({ requestsRunning: 1, kvBlocksUsed: 2 });
    sim.drain();
    sim.checkAnswers();
    expect(sim.journals.get('b')).toMatchObject({ finishReason: 'length', error: undefined });
  });

  test('leaves nothing of its own in the prefix cache, nor what came after it; what others hold stays', () => {
    const sim = new Simulation(CONFIG);
    const { promptTokenIds } = makeRequest('prompt', 29);
    const add = (id: string, length: number, maxTokens = 1): void => {
      sim.add({ ...makeRequest(id, 1, { maxTokens }), promptTokenIds: promptTokenIds.slice(0, length) });
    };
    add('holder', 9, 20);
    sim.step();
    add('longer', 29); // leaves seven blocks behind, two of them the holder's
    while (sim.live.length > 1) sim.step();
    add('sick', 17);
    sim.failing.add('sick');
    while (sim.live.length > 1) sim.step();
    expect(sim.journals.get('sick')).toMatchObject({ error: 'internal' });
    add('next', 29);
    sim.drain();
    expect(sim.journals.get('next')?.numCachedTokens).toBe(8);
    sim.checkAnswers();
  });
});
