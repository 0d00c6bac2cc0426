import { appendFileSync, writeFileSync } from 'node:fs';
import { median } from '../statistics.mjs';
import type { Part } from './options.ts';

/** Above this load average, others' work shows in the figures. */
const BUSY = 0.5;

/** One thing that was measured. */
export interface Row {
  readonly part: Part;
  /** What was measured, e.g. `int4 960x576, M = 8`. */
  readonly name: string;
  /** What `samples` are the milliseconds of, e.g. `a run of 16 tokens`. */
  readonly counts: string;
  /** One for each repetition. */
  readonly samples: readonly number[];
  /** Figures that follow from the median: their names end in their unit. */
  readonly figures: Readonly<Record<string, number>>;
}

/** A line of the JSON file. */
export type Line =
  | ({ readonly kind: 'head' } & Readonly<Record<string, unknown>>)
  | ({ readonly kind: 'row'; readonly medianMs: number; readonly repeats: number } & Row)
  | { readonly kind: 'limits'; readonly limits: unknown }
  | { readonly kind: 'omitted'; readonly part: Part; readonly name: string; readonly why: string }
  | { readonly kind: 'end'; readonly seconds: number; readonly caveats: readonly string[] };

/** Where results go the moment they are there, so that a run that is cut short leaves what it had. */
export class Report {
  readonly #file: string | undefined;
  readonly #print: (line: string) => void;
  readonly #caveats: string[] = [];

  /** @param file emptied, and then appended to line by line: JSON Lines */
  constructor(file: string | undefined, print: (line: string) => void = console.log) {
    this.#file = file;
    this.#print = print;
    if (file !== undefined) writeFileSync(file, '');
  }

  /** What was measured where. */
  head(facts: { readonly adapter: GPUAdapterInfo; readonly loadAverage: number } & Readonly<Record<string, unknown>>): void {
    const adapter = adapterFacts(facts.adapter);
    this.#append({ kind: 'head', date: new Date().toISOString(), ...facts, adapter });
    for (const [key, value] of Object.entries({ ...facts, adapter })) {
      this.#print(`${key.padEnd(12)} ${typeof value === 'string' ? value : JSON.stringify(value)}`);
    }
    const caveat = busyCaveat(facts.loadAverage);
    if (caveat !== undefined) this.caveat(caveat);
  }

  /** Why the figures say less than they seem to. */
  caveat(text: string): void {
    this.#caveats.push(text);
    this.#print(`WARNING: ${text}.`);
  }

  row(row: Row): void {
    this.#append({ kind: 'row', ...row, medianMs: median(row.samples), repeats: row.samples.length });
    this.#print(formatRow(row));
  }

  limits(limits: unknown): void {
    this.#append({ kind: 'limits', limits });
    this.#print(`limits     ${JSON.stringify(limits, undefined, 2)}`);
  }

  /** What was not measured, and why. */
  omit(part: Part, name: string, why: string): void {
    this.#append({ kind: 'omitted', part, name, why });
    this.#print(`${part.padEnd(10)} ${name}: NOT MEASURED: ${why}`);
  }

  end(seconds: number): void {
    this.#append({ kind: 'end', seconds, caveats: this.#caveats });
    this.#print(`Done in ${seconds.toFixed(0)} s. ${this.#caveats.length === 0 ? 'Clean run.' : `NOT a clean run: ${this.#caveats.join('; ')}.`}`);
  }

  #append(line: Line): void {
    if (this.#file !== undefined) appendFileSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

/** A `GPUAdapterInfo`'s fields are getters, which JSON does not see. */
function adapterFacts(info: GPUAdapterInfo): Readonly<Record<string, unknown>> {
  const { vendor, architecture, device, description, isFallbackAdapter, subgroupMinSize, subgroupMaxSize } = info;
  return { vendor, architecture, device, description, isFallbackAdapter, subgroupMinSize, subgroupMaxSize };
}

/** What a load average before the start says against a run; undefined: nothing. */
export function busyCaveat(loadAverage: number): string | undefined {
  if (!(loadAverage > BUSY)) return undefined;
  return `the machine was busy: load average ${loadAverage.toFixed(2)} before the start`;
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
