import type { BufferDevice } from './buffers.ts';

/** A device that creates no buffers: a pool on it counts what one on a real device would allocate, and refuses what is too large. */
export function countingDevice(limits: BufferDevice['limits']): BufferDevice {
  return {
    limits,
    createBuffer: ({ label = '', size, usage }) => ({
      __brand: 'GPUBuffer',
      label,
      size,
      usage,
      mapState: 'unmapped',
      mapAsync: () => Promise.reject(new Error('a counted buffer has no memory')),
      getMappedRange: () => new ArrayBuffer(0),
      unmap: () => undefined,
      destroy: () => undefined,
    }),
    pushErrorScope: () => undefined,
    popErrorScope: async () => null,
    queue: { onSubmittedWorkDone: async () => undefined },
  };
}
