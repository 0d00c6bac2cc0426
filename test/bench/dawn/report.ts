import { appendFileSync, writeFileSync } from 'node:fs';
import { type Head, headCaveats } from '../report.mjs';
import { isAboveCeiling } from '../../../demo/bench/above-ceiling.mjs';
import { median } from '../../../demo/bench/statistics.mjs';

/** One thing that was measured. */
export interface Row {
  readonly part: string;
  /** What was measured, e.g. `int4 960x576, M = 8`. */
  readonly name: string;
  /** What `samples` are the milliseconds of, e.g. `a run of 16 tokens`. */
  readonly counts: string;
  /** One for each repetition. */
  readonly samples: readonly number[];
  /** Figures that follow from the median: their names end in their unit. */
  readonly figures: Readonly<Record<string, number>>;
}

/** Something that is right or wrong. */
export interface Check {
  readonly part: string;
  readonly name: string;
  readonly passed: boolean;
  /** The things that were compared, or the fault. */
  readonly detail: string;
}

/** A line of the JSON file. */
export type Line =
  | ({ readonly kind: 'head' } & Head)
  | ({ readonly kind: 'row'; readonly medianMs: number; readonly repeats: number } & Row)
  | { readonly kind: 'limits'; readonly limits: unknown }
  | { readonly kind: 'facts'; readonly part: string; readonly facts: unknown }
  | ({ readonly kind: 'check' } & Check)
  | { readonly kind: 'omitted'; readonly part: string; readonly name: string; readonly why: string }
  | { readonly kind: 'end'; readonly seconds: number; readonly failures: readonly string[] };

/** Where results go the moment they are there, so that a run that is cut short leaves what it had. */
export class Report {
  readonly #file: string | undefined;
  readonly #print: (line: string) => void;
  /** What follows from the head and from rows, and what does not. */
  readonly #doubts: string[] = [];
  readonly #failures: string[] = [];

  /** @param file emptied, and then appended to line by line: JSON Lines */
  constructor(file: string | undefined, print: (line: string) => void = console.log) {
    this.#file = file;
    this.#print = print;
    if (file !== undefined) writeFileSync(file, '');
  }

  /** What is measured where. */
  head(head: Head): void {
    this.#append({ kind: 'head', ...head });
    for (const [key, value] of Object.entries(head)) {
      this.#print(`${key.padEnd(12)} ${typeof value === 'string' ? value : JSON.stringify(value)}`);
    }
    for (const caveat of headCaveats(head)) this.#doubt(caveat);
  }

  /** What went wrong. */
  failure(text: string): void {
    this.#failures.push(text);
    this.#print(`WARNING: ${text}.`);
  }

  /** A row that is above the adapter's ceiling is marked, and makes the run unclean. */
  row(row: Row): void {
    this.#append({ kind: 'row', ...row, medianMs: median(row.samples), repeats: row.samples.length });
    this.#print(formatRow(row));
    const share = row.figures['of the read ceiling'];
    if (share === undefined || !isAboveCeiling(share)) return;
    this.#doubt(`${row.part}: ${row.name} reads ${share.toFixed(2)} times as fast as the adapter can by its measured ceiling`);
  }

  limits(limits: unknown): void {
    this.#append({ kind: 'limits', limits });
    this.#print(`limits     ${JSON.stringify(limits, undefined, 2)}`);
  }

  /** Facts about the adapter. */
  facts(part: string, facts: unknown): void {
    this.#append({ kind: 'facts', part, facts });
    this.#print(`${part.padEnd(10)} ${JSON.stringify(facts)}`);
  }

  /** One that is not passed is a failure. */
  check(check: Check): void {
    const { part, name, passed, detail } = check;
    this.#append({ kind: 'check', ...check });
    this.#print(`${part.padEnd(10)} ${name}: ${passed ? 'right' : 'WRONG'}: ${detail}`);
    if (!passed) this.failure(`${part}: ${name} is wrong`);
  }

  /** What was not measured, and why. */
  omit(part: string, name: string, why: string): void {
    this.#append({ kind: 'omitted', part, name, why });
    this.#print(`${part.padEnd(10)} ${name}: NOT MEASURED: ${why}`);
  }

  /** Whether anything failed so far. */
  get hasFailed(): boolean {
    return this.#failures.length > 0;
  }

  end(seconds: number): void {
    this.#append({ kind: 'end', seconds, failures: this.#failures });
    const caveats = [...this.#doubts, ...this.#failures];
    this.#print(`Done in ${seconds.toFixed(0)} s. ${caveats.length === 0 ? 'Clean run.' : `NOT a clean run: ${caveats.join('; ')}.`}`);
  }

  /** Why the figures say less than they seem to. */
  #doubt(text: string): void {
    this.#doubts.push(text);
    this.#print(`WARNING: ${text}.`);
  }

  #append(line: Line): void {
    if (this.#file !== undefined) appendFileSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

/** A row for people: the median, its range, how many, of what, and the figures. */
export function formatRow({ part, name, counts, samples, figures }: Row): string {
  const range = samples.length < 2 ? '' : ` [${digits(Math.min(...samples))}..${digits(Math.max(...samples))}]`;
  const time = `${digits(median(samples))}${range} ms, median of ${samples.length} x ${counts}`;
  const values = Object.entries(figures).map(([key, value]) => `${key} ${digits(value)}`);
  return `${part.padEnd(10)} ${name}: ${values.join(', ')} (${time})`;
}

/** Four digits that count. */
function digits(value: number): string {
  return value >= 1000 ? value.toFixed(0) : value.toPrecision(4);
}
