import type { AdapterSummary } from '../../../src/core/metrics.ts';
import type { BenchRow } from '../row.ts';
import schema from '../results.schema.json' with { type: 'json' };
import { isAboveCeiling } from '../above-ceiling.mjs';
import type { Omission } from '../rows.ts';
import type { PartProgress } from './benchmark-run.ts';
import type { Machine } from './machine.ts';

declare const __BENCH_COMMIT__: string;
declare const __TABSERVE_BUILD_ID__: string;

/** Results as results.schema.json has them, as far as this page needs them of others. */
export interface Results {
  readonly head: { readonly date: string; readonly adapter: AdapterSummary };
  readonly caveats: readonly string[];
  readonly rows: readonly BenchRow[];
}

export interface RunFacts {
  readonly machine: Machine;
  /** Of the page, without secrets. */
  readonly address: string;
  readonly model: string;
  readonly quick: boolean;
  readonly date: Date;
  readonly parts: readonly PartProgress[];
  readonly wasStopped: boolean;
}

/** Why a visitor's figures say less than they seem to. */
export function caveatsOf({ machine, wasStopped, parts }: RunFacts, rows: readonly BenchRow[]): string[] {
  const failed = parts.filter(({ state }) => state === 'failed');
  const implausible = rows.filter(({ roofline }) => isAboveCeiling(roofline));
  return [
    ...(machine.isSoftware ? ['the adapter is software, not a GPU'] : []),
    ...(wasStopped ? ['the run was stopped before its end'] : []),
    ...failed.map(({ part, note }) => `${part.name} failed: ${note}`),
    ...implausible.map(({ part, metric }) => `${part}: ${metric} is above what the adapter can do`),
  ];
}

/** A visitor's run in the form of results.schema.json. A page is not told how busy the machine is. */
export function resultsOf(facts: RunFacts, rows: readonly BenchRow[], omitted: readonly Omission[]) {
  const { machine, address, model, quick, date, parts } = facts;
  const { browser, os, cores, ...adapter } = machine;
  const caveats = caveatsOf(facts, rows);
  const measured = parts.filter(({ state }) => state === 'done');
  return {
    schemaVersion: schema.properties.schemaVersion.const,
    head: {
      suite: 'page',
      version: __TABSERVE_BUILD_ID__,
      commit: __BENCH_COMMIT__,
      date: date.toISOString(),
      command: address,
      runtime: browser,
      os,
      cpu: '',
      cores,
      loadAverage: null,
      adapter,
      options: { quick, model },
      model: null,
    },
    clean: caveats.length === 0,
    caveats,
    leftOut: omitted.map(({ what, why }) => `${what}: ${why}`),
    parts: Object.fromEntries(measured.map(({ part, ms }) => [part.name, { repetitions: 1, seconds: ms / 1000 }])),
    rows,
    details: {},
  };
}
