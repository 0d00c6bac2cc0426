// @ts-check
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile } from 'vega-lite';
import { parse, View } from 'vega';
import { constantDimensions, rowName } from '../../demo/bench/rows.mjs';
import { isAboveCeiling } from '../../demo/bench/above-ceiling.mjs';
import { median } from '../../demo/bench/statistics.mjs';
import { configOf } from './plot-theme.mjs';

/**
 * @typedef {import('./report.mjs').Results} Results
 * @typedef {import('../../demo/bench/row.ts').BenchRow} BenchRow
 * @typedef {import('vega-lite').TopLevelSpec} Spec
 *
 * @typedef {object} Curve what a plot of curves shows
 * @property {string} title
 * @property {string} x the dimension
 * @property {string} xTitle
 * @property {string} yTitle
 * @property {string} needs what a file has to have, in words
 * @property {(row: BenchRow) => Point | undefined} pointOf undefined for rows that are not in it
 *
 * @typedef {object} Point
 * @property {number} x
 * @property {readonly number[]} samples
 * @property {string} line what it is called in the legend, and joined with others along
 */

/** Pixels of a letter of a row's name, about: nothing here can measure one. */
const LETTER_WIDTH = 7;

/** Dimensions that say what `x` says: not a line's name.
 * @param {BenchRow} row
 * @param {string} x
 * @param {ReadonlySet<string>} told */
function lineName({ part, metric, dimensions }, x, told) {
  return rowName({ metric: `${part}: ${metric}`, dimensions }, new Set([...told, x]));
}

/** @param {ReadonlySet<string>} told dimensions that the subtitle tells
 * @returns {Readonly<Record<string, Curve>>} */
function curves(told) {
  return {
    'throughput-by-batch': {
      title: 'Throughput of sequences that decode together',
      x: 'batch',
      xTitle: 'sequences at once',
      yTitle: 'tokens a second, all together',
      needs: 'speeds of two batches or numbers of requests at once',
      pointOf: (row) => {
        const { batch, concurrency } = row.dimensions;
        const x = batch ?? concurrency;
        if (row.unit !== 'tok/s' || typeof x !== 'number') return undefined;
        return { x, samples: row.samples, line: lineName(row, batch === undefined ? 'concurrency' : 'batch', told) };
      },
    },
    'itl-by-context': {
      title: 'Time between two tokens of a sequence',
      x: 'context',
      xTitle: 'context, tokens',
      yTitle: 'milliseconds a token',
      needs: 'decode speeds of two contexts',
      pointOf: (row) => {
        const { context, batch = 1 } = row.dimensions;
        if (row.metric !== 'decode' || row.unit !== 'tok/s' || typeof context !== 'number') return undefined;
        const samples = row.samples.map((speed) => (1000 * Number(batch)) / speed);
        return { x: context, samples, line: lineName(row, 'context', told) };
      },
    },
    'ttft-under-load': {
      title: 'Time to the first token under load',
      x: 'concurrency',
      xTitle: 'requests at once',
      yTitle: 'milliseconds',
      needs: 'TTFT p50 and p99 of two numbers of requests at once',
      pointOf: (row) => {
        const { concurrency } = row.dimensions;
        if (!/^TTFT p\d+$/.test(row.metric) || typeof concurrency !== 'number') return undefined;
        return { x: concurrency, samples: row.samples, line: lineName(row, 'concurrency', told) };
      },
    },
  };
}

/**
 * Draws what a run has rows for, each picture for light and for dark pages: NAME.light.svg and NAME.dark.svg.
 *
 * @param {Results} results
 * @param {string} folder made if need be
 * @returns {Promise<string[]>} a line for each picture: where it is, or why it is not
 */
export async function writePlots(results, folder) {
  mkdirSync(folder, { recursive: true });
  const lines = [];
  for (const [name, spec] of Object.entries(plotSpecs(results))) {
    if (typeof spec === 'string') {
      lines.push(`${name}: not drawn, the results have no ${spec}`);
      continue;
    }
    for (const theme of /** @type {const} */ (['light', 'dark'])) {
      const file = join(folder, `${name}.${theme}.svg`);
      writeFileSync(file, await renderSvg(spec, theme));
      lines.push(`${name}: ${file}`);
    }
  }
  return lines;
}

/** Each picture's specification, or what it would need and the results do not have.
 * @param {Results} results
 * @returns {Readonly<Record<string, Spec | string>>} */
export function plotSpecs(results) {
  const constant = constantDimensions(results.rows.filter(({ part }) => part !== 'limits'));
  const told = new Set(Object.keys(constant));
  const subtitle = subtitleOf(results, constant);
  const specs = Object.entries(curves(told)).map(([name, curve]) => {
    const points = pointsOf(results.rows, curve);
    return [name, points.length === 0 ? curve.needs : curveSpec(curve, points, subtitle)];
  });
  const bounded = results.rows.filter(({ roofline }) => roofline !== undefined);
  return {
    ...Object.fromEntries(specs),
    roofline: bounded.length === 0 ? 'shares of the ceilings' : rooflineSpec(bounded, told, subtitle),
  };
}

/** Those on lines of two points or more.
 * @param {readonly BenchRow[]} rows
 * @param {Curve} curve */
function pointsOf(rows, { pointOf }) {
  const points = rows.flatMap((row) => pointOf(row) ?? []);
  const on = (/** @type {string} */ line) => new Set(points.filter((point) => point.line === line).map(({ x }) => x));
  return points.filter(({ line }) => on(line).size > 1);
}

/** What was measured on what, and what speaks against it.
 * @param {Results} results
 * @param {BenchRow['dimensions']} constant */
function subtitleOf({ head, clean, caveats }, constant) {
  const { vendor, architecture, device, description } = head.adapter;
  const adapter = description || [vendor, architecture, device].filter(Boolean).join(' ');
  const model = head.model?.name ?? constant['model'];
  const what = [model, adapter, head.runtime, `commit ${head.commit}`, head.date.slice(0, 10)];
  const shown = caveats.slice(0, 2).map((caveat) => (caveat.length > 90 ? `${caveat.slice(0, 89)}…` : caveat));
  const more = caveats.length > 2 ? [`and ${caveats.length - 2} more`] : [];
  return [what.filter(Boolean).join(' · '), ...(clean ? [] : [`NOT a clean run: ${[...shown, ...more].join('; ')}`])];
}

/**
 * @param {Curve} curve
 * @param {readonly Point[]} points
 * @param {readonly string[]} subtitle
 * @returns {Spec}
 */
function curveSpec({ title, xTitle, yTitle }, points, subtitle) {
  const ticks = [...new Set(points.map(({ x }) => x))].toSorted((a, b) => a - b);
  const values = points.map(({ x, samples, line }) => {
    return { x, line, y: median(samples), low: Math.min(...samples), high: Math.max(...samples) };
  });
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: { text: title, subtitle: [...subtitle, 'Medians; bars are the range of the samples.'] },
    width: 560,
    height: 300,
    data: { values },
    encoding: {
      x: {
        field: 'x',
        type: 'quantitative',
        title: xTitle,
        scale: { type: 'log', base: 2, nice: false, padding: 14 },
        axis: { values: ticks, format: ',d', grid: false },
      },
      color: {
        field: 'line',
        type: 'nominal',
        sort: null,
        legend: { title: null, orient: 'bottom', direction: 'vertical' },
      },
    },
    layer: [
      {
        mark: { type: 'rule', strokeWidth: 1.5, opacity: 0.6 },
        encoding: { y: { field: 'low', type: 'quantitative', title: yTitle, scale: { zero: true } }, y2: { field: 'high' } },
      },
      { mark: { type: 'line', strokeWidth: 2 }, encoding: { y: { field: 'y', type: 'quantitative' } } },
      {
        mark: { type: 'point', filled: true, size: 70, opacity: 1 },
        encoding: { y: { field: 'y', type: 'quantitative' }, shape: { field: 'line', type: 'nominal', sort: null } },
      },
    ],
  };
}

/**
 * @param {readonly BenchRow[]} rows
 * @param {ReadonlySet<string>} told
 * @param {readonly string[]} subtitle
 * @returns {Spec}
 */
function rooflineSpec(rows, told, subtitle) {
  const values = rows.map((row) => ({
    name: `${row.part}: ${rowName(row, told)}`,
    share: row.roofline,
    label: `${(100 * (row.roofline ?? 0)).toFixed(0)} %`,
    kind: isAboveCeiling(row.roofline) ? 'above the ceiling: a mistake' : 'of the ceiling',
  }));
  const isFine = values.every(({ kind }) => kind === 'of the ceiling');
  const most = Math.max(1, ...values.map(({ share = 0 }) => share));
  // Aligned to the left, so that room for names does not hang on how wide they are thought to be.
  const labelPadding = LETTER_WIDTH * Math.max(...values.map(({ name }) => name.length));
  const axis = /** @type {const} */ ({ labelAlign: 'left', labelPadding, labelLimit: 0, ticks: false, domain: false });
  const y = /** @type {const} */ ({ field: 'name', type: 'nominal', sort: null, title: null, axis });
  const x = /** @type {const} */ ({
    field: 'share',
    type: 'quantitative',
    title: 'share of the nearer ceiling',
    axis: { format: '.0%', tickCount: 6 },
  });
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: {
      text: 'How near to the adapter’s own ceilings',
      subtitle: [...subtitle, 'Ceilings: reading memory, and multiply-adds, as measured in the same run.'],
      frame: 'bounds',
    },
    width: 420,
    height: { step: 24 },
    data: { values },
    layer: [
      {
        mark: { type: 'bar', height: 14 },
        encoding: {
          y,
          x: { ...x, scale: { domain: [0, 1.1 * most] } },
          color: {
            field: 'kind',
            type: 'nominal',
            scale: { domain: ['of the ceiling', 'above the ceiling: a mistake'] },
            legend: isFine ? null : { title: null, orient: 'bottom' },
          },
        },
      },
      { mark: { type: 'text', align: 'left', dx: 4 }, encoding: { y, x, text: { field: 'label' } } },
      { mark: { type: 'rule', strokeDash: [4, 3] }, encoding: { x: { datum: 1, type: 'quantitative' } } },
    ],
  };
}

/**
 * @param {Spec} spec
 * @param {import('./plot-theme.mjs').Theme} theme
 */
export async function renderSvg(spec, theme) {
  const compiled = compile(spec, { config: configOf(theme) });
  const view = new View(parse(compiled.spec), { renderer: 'none' });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}
