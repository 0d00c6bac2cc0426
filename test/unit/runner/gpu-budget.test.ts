import { expect, test } from 'vitest';
import { defaultGpuMemoryBytes } from '../../../src/runner/gpu-budget.ts';

const GIB = 2 ** 30;

test.each([
  { deviceMemory: 2, maxBufferGib: 1, gib: 2 },
  { deviceMemory: 4, maxBufferGib: 2, gib: 4 },
  { deviceMemory: 8, maxBufferGib: 2, gib: 16 },
  { deviceMemory: 32, maxBufferGib: 2, gib: 32 },
  { deviceMemory: undefined, maxBufferGib: 0.25, gib: 16 },
  { deviceMemory: 2, maxBufferGib: 4, gib: 4 },
])('$deviceMemory GiB told, buffers of $maxBufferGib GiB at most: $gib GiB', ({ deviceMemory, maxBufferGib, gib }) => {
  expect(defaultGpuMemoryBytes(maxBufferGib * GIB, deviceMemory)).toBe(gib * GIB);
});
