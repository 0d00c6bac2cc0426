import { expect, test, vi } from 'vitest';
import { loadBytes } from '../support/gpu-runner.ts';
import { tinyModel } from '../support/tiny-model.ts';

test('measure', async () => {
  const bytes = tinyModel({ preset: 'smollm2', type: 'mixed', vocabSize: 49_152, numLayers: 2 });
  for (let i = 0; i < 4; i++) {
    let at = 0;
    let mapped = 0;
    const submits = vi.spyOn(GPUQueue.prototype, 'submit').mockImplementation(function (this: GPUQueue, ...args) {
      at = performance.now();
      submits.mockRestore();
      this.submit(...args);
      void this.onSubmittedWorkDone().then(() => (mapped = performance.now()));
    });
    const start = performance.now();
    const compiled = { at: 0 };
    const loaded = await loadBytes(bytes, { kvCacheBytes: 2 ** 26, onStage: (stage) => stage === 'compile' && (compiled.at = performance.now()) });
    const end = performance.now();
    console.log(`load ${(end - start).toFixed(0)} ms; from stage compile to submit ${(at - compiled.at).toFixed(0)}, GPU ${(mapped - at).toFixed(0)}, check ${(end - mapped).toFixed(0)}`);
    loaded.destroy();
  }
  expect(1).toBe(1);
}, 120_000);
