import { expect, test } from 'vitest';
import { loadBytes, step, TestSequence } from '../../support/gpu-runner.ts';
import { tinyModel } from '../../support/tiny-model.ts';

test('logits that are not numbers are a typed error, not a token', async () => {
  const loaded = await loadBytes(tinyModel({ type: 'Q8_0' }));
  for (const temperature of [0, 1]) {
    const sequence = new TestSequence({ tokenIds: [5, 6, 7], blockTable: [3], sampling: { temperature } });
    await step(loaded, [[sequence, 3]]);
    // The keys of this sequence so far, among others.
    const { keys } = loaded.runner.state.cache[0]!;
    loaded.device.queue.writeBuffer(keys, 0, new Float32Array(keys.size / 4).fill(NaN));
    await expect(step(loaded, [[sequence, 1]])).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringContaining('not numbers'),
    });
  }
  loaded.destroy();
});
