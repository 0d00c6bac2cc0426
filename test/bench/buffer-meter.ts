/** Bytes of live buffers, by what they are for. */
export interface GpuBytes {
  readonly weights: number;
  readonly kvCache: number;
  /** What steps write and read: activations, inputs, samples. */
  readonly steps: number;
}

/** Counts the buffers of a device from here on, by their labels. */
export class BufferMeter {
  readonly #live = new Map<GPUBuffer, { readonly label: string; readonly size: number }>();

  constructor(device: GPUDevice) {
    const createBuffer = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      const buffer = createBuffer(descriptor);
      this.#live.set(buffer, { label: descriptor.label ?? '', size: descriptor.size });
      const destroy = buffer.destroy.bind(buffer);
      buffer.destroy = () => {
        this.#live.delete(buffer);
        return destroy();
      };
      return buffer;
    };
  }

  get bytes(): GpuBytes {
    const bytes = { weights: 0, kvCache: 0, steps: 0 };
    for (const { label, size } of this.#live.values()) bytes[useOf(label)] += size;
    return bytes;
  }
}

function useOf(label: string): keyof GpuBytes {
  if (/^(keys|values) of layer /.test(label)) return 'kvCache';
  return label.endsWith('.weight') ? 'weights' : 'steps';
}
