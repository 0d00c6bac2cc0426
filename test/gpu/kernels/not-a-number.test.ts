import { expect, test } from 'vitest';
import type { ScheduledRequest } from '../../../src/core/scheduler-output.ts';
import { loadBytes, step, TestSequence } from '../../support/gpu-runner.ts';
import { tinyModel } from '../../support/tiny-model.ts';

test('logits that are not numbers are an error of their own request, not a token, and touch no other', async () => {
  const loaded = await loadBytes(tinyModel({ type: 'Q8_0' }));
  const { keys } = loaded.runner.state.cache[0]!;
  const blockBytes = keys.size / loaded.scheduler.numBlocks;
  const execute = (requests: readonly ScheduledRequest[]) =>
    loaded.runner.execute({ numSteps: 1, requests, totalNumScheduledTokens: requests.length });
  for (const temperature of [0, 1]) {
    const sampling = { temperature };
    const healthy = new TestSequence({ slot: 1, tokenIds: [8, 9, 10], blockTable: [5], sampling });
    const sick = new TestSequence({ slot: 0, tokenIds: [5, 6, 7], blockTable: [3], sampling });
    await step(loaded, [[sick, 3], [healthy, 3]]);
    const alone = await execute([healthy.share(1)]);
    // The keys of one sequence so far, by its only block.
    loaded.device.queue.writeBuffer(keys, 3 * blockBytes, new Float32Array(blockBytes / 4).fill(NaN));
    const { sampledTokenIds, failures } = await execute([sick.share(1), healthy.share(1)]);
    expect(sampledTokenIds).toEqual(alone.sampledTokenIds);
    expect([...(failures ?? [])]).toEqual([
      ['request 0', { code: 'internal', message: expect.stringContaining('not numbers') }],
    ]);
  }
  loaded.destroy();
});
