import { expect, test } from 'vitest';
import { UploadBackpressure } from '../../../src/models/upload-backpressure.ts';

const MIB = 2 ** 20;

test('others have their turn between two slices', async () => {
  const backpressure = new UploadBackpressure({ onSubmittedWorkDone: async () => undefined });
  const order: string[] = [];
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }: MessageEvent<string>) => order.push(data);
  for (let slice = 0; slice < 3; slice++) {
    port2.postMessage(`message ${slice}`);
    await backpressure.throttle(MIB, []);
    order.push(`slice ${slice}`);
  }
  port1.close();
  expect(order).toEqual(['message 0', 'slice 0', 'message 1', 'slice 1', 'message 2', 'slice 2']);
});

test('no more than 32 MiB wait for the GPU', async () => {
  let waits = 0;
  let inFlight = 0;
  let most = 0;
  const onSubmittedWorkDone = async (): Promise<undefined> => {
    waits++;
    inFlight = 0;
  };
  const backpressure = new UploadBackpressure({ onSubmittedWorkDone });
  for (let slice = 0; slice < 100; slice++) {
    inFlight += MIB;
    most = Math.max(most, inFlight);
    await backpressure.throttle(MIB, []);
  }
  expect([waits, most]).toEqual([3, 32 * MIB]);
});

test('what was written is freed, where the engine can', async () => {
  const backpressure = new UploadBackpressure({ onSubmittedWorkDone: async () => undefined });
  const [weights, scales] = [new Uint32Array(1024), new Uint32Array(64)];
  await backpressure.throttle(4096, [weights, scales, scales]);
  const isFreed = 'transfer' in ArrayBuffer.prototype;
  expect([weights.length, scales.length]).toEqual(isFreed ? [0, 0] : [1024, 64]);
});
