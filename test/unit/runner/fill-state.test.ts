import { expect, test } from 'vitest';
import type { ModelConfig } from '../../../src/core/model-config.ts';
import type { SchedulerConfig } from '../../../src/core/scheduler-output.ts';
import type { DecoderState } from '../../../src/models/decoder.ts';
import { fillState } from '../../../src/runner/decoder-state.ts';

test('angles are made for the context in use, however long the file says that it may be', async () => {
  const written: number[] = [];
  const device = { queue: { writeBuffer: (_buffer: unknown, _at: number, data: Float32Array) => written.push(data.length) } };
  const config = { contextLength: 2 ** 24, ropeDimensions: 8, ropeTheta: 10_000, ropeScalingFactor: 1 } as unknown as ModelConfig;
  await fillState(device as unknown as GPUDevice, config, { maxModelLen: 512 } as SchedulerConfig, {} as DecoderState, undefined);
  expect(written).toEqual([512 * 8]);
});
