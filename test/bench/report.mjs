// @ts-check
import { busyCaveat } from './machine.mjs';
import { poolRows } from '../../demo/bench/rows.mjs';
import { implausible, withRooflines } from './sanity.mjs';

/**
 * @typedef {import('../../demo/bench/row.ts').BenchRow} BenchRow
 * @typedef {import('../../src/core/metrics.ts').AdapterSummary} AdapterSummary
 * @typedef {object} ModelFacts
 * @property {string} name
 * @property {string} file
 * @property {number} bytes
 * @property {string} sha256
 * @property {boolean} isStandIn whether it is not the one that the bench is about
 * @property {number} weightBytes that a decode step reads
 * @property {number} bodyMacs multiply-adds of a token in the layers' matrices
 * @property {number} headMacs likewise in the output's, where it is sampled
 *
 * @typedef {object} Head what was measured where
 * @property {string} suite
 * @property {string} version
 * @property {string} commit
 * @property {string} date
 * @property {string} command
 * @property {string} runtime
 * @property {string} os
 * @property {string} cpu
 * @property {number} cores
 * @property {number | null} loadAverage over the minute before the start; null: a page is not told
 * @property {AdapterSummary} adapter
 * @property {Readonly<Record<string, unknown>>} options
 * @property {ModelFacts | null} model
 *
 * @typedef {object} Measured
 * @property {Readonly<Record<string, { readonly repetitions: number, readonly seconds: number }>>} parts
 * @property {readonly BenchRow[]} rows of all repetitions
 * @property {Readonly<Record<string, readonly unknown[]>>} details
 * @property {readonly string[]} failures what could not be measured, and why
 * @property {readonly string[]} leftOut
 *
 * @typedef {object} Results see results.schema.json
 * @property {typeof SCHEMA_VERSION} schemaVersion
 * @property {Head} head
 * @property {boolean} clean
 * @property {readonly string[]} caveats
 * @property {readonly string[]} leftOut
 * @property {Measured['parts']} parts
 * @property {readonly BenchRow[]} rows
 * @property {Measured['details']} details
 */

/** Of results.schema.json: one more with each change of what a field means. */
export const SCHEMA_VERSION = 2;

/** Results of a run, whose rows are checked against its ceilings.
 * @param {Head} head
 * @param {Measured} measured
 * @returns {Results} */
export function makeResults(head, measured) {
  const pooled = withRooflines(poolRows(measured.rows), head.model);
  const caveats = [...headCaveats(head), ...measured.failures, ...rowCaveats(pooled), ...implausible(pooled)];
  // JSON has no other numbers.
  const rows = pooled.filter(({ samples }) => samples.length > 0 && samples.every(Number.isFinite));
  const { parts, details, leftOut } = measured;
  return { schemaVersion: SCHEMA_VERSION, head, clean: caveats.length === 0, caveats, leftOut, parts, rows, details };
}

/** Why the figures say less than they seem to, before any is there.
 * @param {Head} head */
export function headCaveats({ loadAverage, cores, adapter, model, commit }) {
  return [
    busyCaveat({ loadAverage, cores }) ?? [],
    adapter.isSoftware ? 'the adapter is software' : [],
    model?.isStandIn === true ? 'the model is a tiny stand-in' : [],
    commit.includes('-dirty') ? `files differ from commit ${commit.split('-dirty')[0]}` : [],
  ].flat();
}

/** Counts that should be 0.
 * @param {readonly BenchRow[]} rows */
function rowCaveats(rows) {
  return rows.flatMap(({ part, metric, dimensions, samples }) => {
    const sum = samples.reduce((a, b) => a + b, 0);
    if (sum === 0) return [];
    if (part === 'load' && metric === 'failed') return [`${sum} requests of ${dimensions['concurrency']} at once failed`];
    return part === 'failover' && metric === 'weights fetched' ? ['weights were fetched anew in a failover'] : [];
  });
}
