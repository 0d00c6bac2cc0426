import { expect, test } from 'vitest';
import { countSubmitsHere, countSubmitsOfBlobWorkers } from '../peers/pages/gpu-submits.ts';

const WORKER = `
const adapter = await navigator.gpu.requestAdapter();
const device = await adapter.requestDevice();
onmessage = async ({ data: count }) => {
  for (let i = 0; i < count; i++) device.queue.submit([device.createCommandEncoder().finish()]);
  await device.queue.onSubmittedWorkDone();
  postMessage('done');
};
postMessage('ready');`;

function said(worker: Worker, word: string): Promise<void> {
  return new Promise((resolve) => {
    worker.addEventListener('message', ({ data }) => data === word && resolve());
  });
}

// What `npm run bench:peers` believes of an engine that says WebGPU.
test('submits of workers made of Blobs are counted, each once, and none is none', async () => {
  const count = countSubmitsOfBlobWorkers();
  const url = URL.createObjectURL(new Blob([WORKER], { type: 'text/javascript' }));
  const workers = [1, 2].map(() => new Worker(url, { type: 'module' }));
  await Promise.all(workers.map((worker) => said(worker, 'ready')));
  expect(await count()).toBe(0);
  for (const [i, worker] of workers.entries()) {
    worker.postMessage(i + 2);
    await said(worker, 'done');
  }
  expect(await count()).toBe(5);
  for (const worker of workers) worker.terminate();
});

test('submits of this page are counted', async () => {
  const count = countSubmitsHere();
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter?.requestDevice();
  expect(count()).toBe(0);
  device?.queue.submit([]);
  device?.queue.submit([]);
  expect(count()).toBe(2);
});
