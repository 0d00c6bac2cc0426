import type { ByteSource } from '../core/byte-source.ts';
import type { ProgressMeter } from './progress-meter.ts';

/**
 * A source whose reads are counted as `load`: bytes from storage or a local file. Bytes from the network have been
 * counted as `download` before they are read, and are not counted twice.
 */
export function progressSource(source: ByteSource, meter: ProgressMeter): ByteSource {
  return {
    id: source.id,
    size: source.size,
    async read(offset, length) {
      const bytes = await source.read(offset, length);
      meter.count('load', offset, length);
      return bytes;
    },
  };
}
