import type { BufferDevice } from './buffers.ts';

/**
 * A device that creates no buffers. A pool on it counts the bytes that a real device would allocate, and refuses
 * buffers that are too large.
 */
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
