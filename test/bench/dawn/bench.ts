import type { Report } from './report.ts';
import type { Options, Sizes } from './options.ts';

/** What the parts share. */
export class Bench<S extends Sizes = Sizes> {
  readonly gpu: GPU;
  readonly report: Report;
  readonly options: Pick<Options, 'model'>;
  readonly sizes: S;
  /** GB/s that the adapter reads from its memory at most; undefined until it has been measured. */
  readCeiling: number | undefined;

  constructor(parts: Pick<Bench<S>, 'gpu' | 'report' | 'options' | 'sizes'>) {
    this.gpu = parts.gpu;
    this.report = parts.report;
    this.options = parts.options;
    this.sizes = parts.sizes;
  }

  /** A speed of reading, and what it is of the ceiling where that is known. */
  readonly readFigures = (gigabytesPerSecond: number): Record<string, number> => {
    const ceiling = this.readCeiling;
    return { 'GB/s': gigabytesPerSecond, ...(ceiling !== undefined && { 'of the read ceiling': gigabytesPerSecond / ceiling }) };
  };
}
