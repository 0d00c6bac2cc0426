// @ts-check
/**
 * Writes the tables of docs/benchmarks.md:
 *
 *     node test/bench/tables.mjs [RESULTS.json...]           by default all of demo/bench/results
 *     node test/bench/tables.mjs --check [RESULTS.json...]   writes nothing; 1 where the page says something else
 *
 * A block begins with `<!-- bench:NAME PARTS -->`, where NAME.json is a file of results and PARTS are some of its parts
 * with commas between them, and ends with `<!-- /bench -->`; what is between is replaced. `by DIMENSION` after the parts
 * makes a row of the table for each of its values, and a column for each metric. One that begins with `<!-- peers:NAME -->`
 * has the table of test/peers/results/NAME.json.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { formatTable } from '../peers/table.mjs';
import { range, significant } from './format.mjs';
import { readResults } from './results.mjs';
import { constantDimensions, rowName } from '../../demo/bench/rows.mjs';
import { isAboveCeiling } from '../../demo/bench/above-ceiling.mjs';
import { median } from '../../demo/bench/statistics.mjs';

/**
 * @typedef {import('./report.mjs').Results} Results
 * @typedef {import('../../demo/bench/row.ts').BenchRow} BenchRow
 * @typedef {import('../peers/table.mjs').Report} PeersReport
 */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const COLUMNS = 120;
const BLOCK = /(<!-- bench:(\S+) ([\w,-]+)(?: by ([\w-]+))? -->\n)[^]*?(<!-- \/bench -->)/g;
const PEERS_BLOCK = /(<!-- peers:(\S+) -->\n)[^]*?(<!-- \/peers -->)/g;

/**
 * @param {string} text of the page
 * @param {ReadonlyMap<string, Results>} results by the names of their files
 * @returns {string} with every block as the results have it
 * @throws Error for a block whose results, or rows, are not there
 */
export function rewriteBlocks(text, results) {
  const opened = text.match(/<!-- bench:/g)?.length ?? 0;
  const blocks = text.match(BLOCK)?.length ?? 0;
  if (opened !== blocks) throw new Error(`${opened - blocks} blocks of the bench do not begin or end as they should.`);
  return text.replace(BLOCK, (_, start, name, parts, dimension, end) => {
    const run = results.get(name);
    if (run === undefined) throw new Error(`There is a block bench:${name}, and no results ${name}.json.`);
    return `${start}\n${block(run, parts.split(','), dimension)}\n\n${end}`;
  });
}

/**
 * @param {string} text of the page
 * @param {ReadonlyMap<string, PeersReport>} reports by the names of their files
 * @returns {string} with every table of peers as the reports have it
 * @throws Error for one whose report is not there
 */
export function rewritePeers(text, reports) {
  return text.replace(PEERS_BLOCK, (_, start, name, end) => {
    const report = reports.get(name);
    if (report === undefined) throw new Error(`There is a table peers:${name}, and no test/peers/results/${name}.json.`);
    const { date, commit, command } = report.head;
    return `${start}\n\`${command}\`, ${date.slice(0, 10)}, commit ${commit}:\n\n\`\`\`text\n${formatTable(report)}\n\`\`\`\n\n${end}`;
  });
}

/** What was run and the table.
 * @param {Results} run
 * @param {readonly string[]} parts
 * @param {string | undefined} dimension */
function block(run, parts, dimension) {
  const rows = run.rows.filter(({ part }) => parts.includes(part));
  if (rows.length === 0) throw new Error(`The results have no rows of ${parts.join(', ')}.`);
  const constant = constantDimensions(rows.filter(({ part }) => part !== 'limits'));
  const table = dimension === undefined ? listTable(rows, constant) : pivotTable(rows, dimension, constant);
  return [caption(run, constant), '', ...table].join('\n');
}

/** @param {Results} run
 * @param {BenchRow['dimensions']} constant */
function caption({ head, clean, caveats }, constant) {
  const { adapter, model } = head;
  const named = adapter.description || [adapter.vendor, adapter.architecture, adapter.device].filter(Boolean).join(' ');
  const what = Object.entries(constant).filter(([name]) => name !== 'model' || model === null);
  const facts = [
    `\`${head.command}\``,
    head.date.slice(0, 10),
    `commit ${head.commit}`,
    ...(model === null ? [] : [`${model.name} (${model.file})`]),
    `${head.runtime} on ${named}${adapter.isSoftware ? ' (software)' : ''}`,
    `${head.cpu}, of which ${head.cores} cores`,
    `load average ${head.loadAverage?.toFixed(2) ?? 'unknown'} before the start`,
    ...what.map(([name, value]) => `${name} ${value}`),
  ];
  const doubt = clean ? '' : ` **Not a clean run, so no measure of tabserve:** ${caveats.join('; ')}.`;
  return wrap(`${facts.join(', ')}; medians, in brackets the range.${doubt}`);
}

/** As this repository's files are: lines of at most so many letters, except for longer words.
 * @param {string} text */
function wrap(text) {
  let line = '';
  const lines = [];
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}

/** @param {readonly BenchRow[]} rows
 * @param {BenchRow['dimensions']} constant */
function listTable(rows, constant) {
  const told = new Set(Object.keys(constant));
  const parts = new Set(rows.map(({ part }) => part));
  const lines = rows.map((row) => {
    const name = parts.size === 1 ? rowName(row, told) : `${row.part}: ${rowName(row, told)}`;
    return `| ${name} | ${figure(row)} ${row.unit}${share(row)} |`;
  });
  return ['| | |', '|---|---|', ...lines];
}

/** @param {readonly BenchRow[]} rows
 * @param {string} dimension
 * @param {BenchRow['dimensions']} constant */
function pivotTable(rows, dimension, constant) {
  const told = new Set([...Object.keys(constant), dimension]);
  const values = [...new Set(rows.flatMap(({ dimensions }) => dimensions[dimension] ?? []))];
  const title = (/** @type {BenchRow} */ row) => `${rowName(row, told)}, ${row.unit}`;
  const titles = [...new Set(rows.filter(({ dimensions }) => dimension in dimensions).map(title))];
  const lines = values.map((value) => {
    const cells = titles.map((name) => {
      const row = rows.find((each) => each.dimensions[dimension] === value && title(each) === name);
      return row === undefined ? '' : `${figure(row)}${isAboveCeiling(row.roofline) ? ' (above the ceiling)' : ''}`;
    });
    return `| ${[value, ...cells].join(' | ')} |`;
  });
  return [`| ${[dimension, ...titles].join(' | ')} |`, `|${'--:|'.repeat(titles.length + 1)}`, ...lines];
}

/** @param {BenchRow} row */
function figure({ samples }) {
  return `${significant(median(samples))}${range(samples)}`;
}

/** @param {BenchRow} row */
function share({ roofline }) {
  if (roofline === undefined) return '';
  return `, ${(100 * roofline).toFixed(0)} % of the ceiling${isAboveCeiling(roofline) ? ': **a mistake**' : ''}`;
}

/** docs/benchmarks.md, as it is and as it should be.
 * @param {readonly string[]} files of results; none: those that are committed */
export function benchmarksPage(files) {
  const found = files.length > 0 ? files : committed('demo/bench/results');
  const results = found.map((file) => /** @type {const} */ ([basename(file, '.json'), readResults(file)]));
  const reports = committed('test/peers/results').map((file) => /** @type {const} */ ([basename(file, '.json'), JSON.parse(readFileSync(file, 'utf8'))]));
  const path = join(ROOT, 'docs/benchmarks.md');
  const is = readFileSync(path, 'utf8');
  return { path, is, should: rewritePeers(rewriteBlocks(is, new Map(results)), new Map(reports)) };
}

/** The JSON files of a folder, which need not be there.
 * @param {string} folder */
function committed(folder) {
  const path = join(ROOT, folder);
  const files = existsSync(path) ? readdirSync(path) : [];
  return files.filter((file) => file.endsWith('.json')).map((file) => join(path, file));
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({ options: { check: { type: 'boolean', default: false } }, allowPositionals: true });
  const { path, is, should } = benchmarksPage(positionals);
  if (!values.check) writeFileSync(path, should);
  else if (is !== should) {
    console.error('docs/benchmarks.md differs from the results: node test/bench/tables.mjs writes it.');
    process.exitCode = 1;
  }
}
