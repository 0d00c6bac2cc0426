// @ts-check
import { median } from '../../demo/bench/statistics.mjs';

/**
 * @typedef {import('../../demo/bench/row.ts').BenchRow} BenchRow
 * @typedef {ReturnType<typeof import('./report.mjs').makeReport>} Report
 */

const COLUMNS = [
  { metric: 'prefill', title: 'prefill tok/s', digits: 1 },
  { metric: 'decode', title: 'decode tok/s', digits: 1 },
  { metric: 'TTFT', title: 'TTFT ms', digits: 0 },
  { metric: 'load', title: 'load ms', digits: 0 },
  { metric: 'output at once in one page', title: 'at once tok/s', digits: 1 },
  { metric: 'output of as many tabs', title: 'tabs tok/s', digits: 1 },
  { metric: 'leading tokens as expected', title: 'as expected', digits: 0 },
];

/** What ratios are given of. */
const COMPARED = ['prefill', 'decode', 'output at once in one page', 'output of as many tabs'];

/** @param {{ rows: readonly BenchRow[], omitted: readonly { what: string, why: string }[], head: Report['head'] }} report */
export function formatTable({ rows, omitted, head }) {
  const names = [...new Set(rows.map(nameOfRow))];
  const table = [
    ['', ...COLUMNS.map(({ title }) => title)],
    ...names.map((name) => [name, ...COLUMNS.map(({ metric, digits }) => cell(rows, name, metric, digits))]),
  ];
  const ratios = names.filter((name) => !name.startsWith('tabserve ')).flatMap((name) => comparison(rows, name, head));
  return [
    `${head.model}, ${head.prompt.tokens} prompt tokens ("${head.prompt.name}"), ${head.outputTokens} asked for, greedy; ` +
      `${head.requests} at once; medians of ${head.repeats} interleaved rounds [range]`,
    `adapter: ${head.adapter}${head.isSoftware ? ' (software: not a GPU)' : ''}; ${head.browser}; ` +
      `load average ${head.loadAverage.toFixed(2)} on ${head.cores} cores before the start`,
    '',
    ...aligned(table),
    '',
    ...ratios,
    ...(omitted.length === 0 ? [] : ['', 'Not measured:', ...omitted.map(({ what, why }) => `  ${what}: ${why}`)]),
    '',
    head.caveats.length === 0 ? 'Clean run.' : `NOT a clean run: ${head.caveats.join('; ')}.`,
  ].join('\n');
}

/** @param {BenchRow} row */
function nameOfRow({ dimensions: { engine, backend, weights } }) {
  return `${engine} ${backend} ${weights}`;
}

/**
 * @param {readonly BenchRow[]} rows
 * @param {string} name
 * @param {string} metric
 * @param {number} digits
 */
function cell(rows, name, metric, digits) {
  const samples = samplesOf(rows, name, metric);
  if (samples.length === 0) return '-';
  const [middle, least, most] = [median(samples), Math.min(...samples), Math.max(...samples)].map((n) => n.toFixed(digits));
  return least === most ? `${middle}` : `${middle} [${least}..${most}]`;
}

/** @param {readonly BenchRow[]} rows
 * @param {string} name
 * @param {string} metric */
function samplesOf(rows, name, metric) {
  return rows.find((row) => row.metric === metric && nameOfRow(row) === name)?.samples ?? [];
}

/**
 * By how much tabserve wins or loses against an engine, as a line; none where nothing can be compared.
 *
 * @param {readonly BenchRow[]} rows
 * @param {string} name
 * @param {{ isSoftware: boolean }} head
 */
export function comparison(rows, name, { isSoftware }) {
  const own = [...new Set(rows.map(nameOfRow))].find((other) => other.startsWith('tabserve '));
  if (own === undefined) return [];
  const parts = COMPARED.flatMap((metric) => {
    const ratio = median(samplesOf(rows, own, metric)) / median(samplesOf(rows, name, metric));
    return Number.isNaN(ratio) ? [] : [`${metric} ${wins(ratio)}`];
  });
  if (parts.length === 0) return [];
  return [`tabserve against ${name}${markOf(name, isSoftware)}: ${parts.join('; ')}`];
}

/** @param {number} ratio tabserve's speed over the other's */
function wins(ratio) {
  if (ratio >= 1.005) return `wins, ${ratio.toFixed(2)} times as fast`;
  return ratio > 0.995 ? 'even' : `loses, the other is ${(1 / ratio).toFixed(2)} times as fast`;
}

/** What has to be known to read a ratio.
 * @param {string} name
 * @param {boolean} isSoftware */
export function markOf(name, isSoftware) {
  if (name.includes(' native ')) return ' (no browser: what the machine can do)';
  if (!isSoftware) return '';
  return name.includes(' webgpu ') ? ' (not a GPU: says nothing of one)' : ' (on the same CPU cores)';
}

/** @param {readonly (readonly string[])[]} table */
function aligned(table) {
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((line) => (line[column] ?? '').length)));
  return table.map((line) => line.map((text, column) => text.padEnd(widths[column] ?? 0)).join('  ').trimEnd());
}
