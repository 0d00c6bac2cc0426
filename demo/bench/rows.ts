import type { BenchRow } from './row.ts';

/** What was not measured, and why. */
export interface Omission {
  readonly what: string;
  readonly why: string;
}

/** What a part gives. */
export interface PartRows {
  readonly rows: readonly BenchRow[];
  readonly omitted: readonly Omission[];
}

/** The rows of one part, as they come. */
export class RowList implements PartRows {
  readonly rows: BenchRow[] = [];
  readonly omitted: Omission[] = [];
  readonly #part: string;

  constructor(part: string) {
    this.#part = part;
  }

  add(row: Omit<BenchRow, 'part'>): void {
    this.rows.push({ part: this.#part, ...row });
  }

  omit(what: string, why: string): void {
    this.omitted.push({ what, why });
  }
}
