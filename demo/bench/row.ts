/** One thing that was measured, in a form that tables, plots and comparisons share. */
export interface BenchRow {
  /** The part of the bench that it belongs to. */
  readonly part: string;
  /** What it is, the same in every run, e.g. `decode`; with `dimensions` it names the row. */
  readonly metric: string;
  /** What was varied, e.g. `{ model: 'SmolLM2 135M', context: 128, batch: 4 }`. */
  readonly dimensions: Readonly<Record<string, string | number>>;
  /** E.g. `tok/s`, `ms`, `MiB`. */
  readonly unit: string;
  /** Which way is good; `neither`: a count, or a fact. */
  readonly better: 'higher' | 'lower' | 'neither';
  /** One for each repetition, in the unit. */
  readonly samples: readonly number[];
  /** The share of what the adapter could do at best, by the nearer of its ceilings of the same run; above 1 is a mistake. */
  readonly roofline?: number;
}
