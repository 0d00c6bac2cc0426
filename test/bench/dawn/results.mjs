// @ts-check
import { limitsRows } from '../../../demo/bench/derive-rows.mjs';
import { makeResults } from '../report.mjs';
import { median } from '../../../demo/bench/statistics.mjs';

/**
 * @typedef {import('../../../demo/bench/row.ts').BenchRow} BenchRow
 * @typedef {import('./report.ts').Line} Line
 * @typedef {Extract<Line, { kind: 'row' }>} RowLine
 * @typedef {import('../../../src/core/profile.ts').AdapterLimits} AdapterLimits
 */

/** Units whose figures fall as the time grows, in the order in which one of them is a row's own; others grow with it. */
const SPEEDS = ['tok/s', 'GMAC/s', 'MB/s'];

/**
 * Results of a run on Dawn, of the lines that it wrote: all, or as many as there were when it was cut short.
 *
 * @param {readonly Line[]} lines
 * @throws Error where the first is no head
 */
export function dawnResults(lines) {
  const [first, ...others] = lines;
  if (first?.kind !== 'head') throw new Error('The first line of a run on Dawn is its head.');
  const { kind: _, ...head } = first;
  const of = (/** @type {Line['kind']} */ kind) => /** @type {any[]} */ (others.filter((line) => line.kind === kind));
  /** @type {AdapterLimits | undefined} */
  const limits = of('limits').at(-1)?.limits;
  /** @type {RowLine[]} */
  const measured = of('row');
  const [end] = of('end');
  const parts = new Set([...(limits === undefined ? [] : ['limits']), ...measured.map(({ part }) => part)]);
  return makeResults(head, {
    rows: [...(limits === undefined ? [] : limitsRows(limits)), ...measured.flatMap((line) => rowsOfLine(line, limits, head.model?.name))],
    parts: Object.fromEntries([...parts].map((part) => [part, { repetitions: 1, seconds: 0 }])),
    details: {},
    failures: end === undefined ? ['the run was cut short'] : end.failures,
    leftOut: of('omitted').map(({ part, name, why }) => `${part}: ${name} (${why})`),
  });
}

/** A line's own speed with all its samples, and what else was counted, which is one figure of all of them.
 * @param {RowLine} line
 * @param {AdapterLimits | undefined} limits
 * @param {string | undefined} model whose share of the ceilings follows from what is known of it
 * @returns {BenchRow[]} */
function rowsOfLine({ part, name, counts, samples, figures }, limits, model) {
  const { metric, dimensions } = nameOfLine(part, name, counts);
  const middle = median(samples);
  const unit = SPEEDS.find((each) => each in figures);
  const isKnown = model !== undefined && dimensions['model'] === model;
  const roofline = unit === 'MB/s' || isKnown ? undefined : shareOf(figures, limits);
  /** @type {BenchRow[]} */
  const rows = [
    unit === undefined
      ? { part, metric, dimensions, unit: 'ms', better: 'lower', samples }
      : {
          part,
          metric,
          dimensions,
          unit,
          better: 'higher',
          samples: samples.map((ms) => ((figures[unit] ?? NaN) * middle) / ms),
          ...(roofline !== undefined && { roofline }),
        },
  ];
  for (const key of ['CPU ms a step', 'CPU ms a token']) {
    const value = figures[key];
    if (value !== undefined) rows.push({ part, metric: `${metric}, ${key}`, dimensions, unit: 'ms', better: 'lower', samples: [value] });
  }
  const dispatches = figures['dispatches a step'];
  if (dispatches !== undefined) {
    rows.push({ part, metric: 'dispatches', dimensions, unit: 'a decode step', better: 'neither', samples: [dispatches] });
  }
  return rows;
}

/** How near a kernel or step comes to the nearer of two ceilings.
 * @param {RowLine['figures']} figures
 * @param {AdapterLimits | undefined} limits */
function shareOf(figures, limits) {
  if (limits === undefined || figures['GB/s'] === undefined) return undefined;
  return Math.max(figures['GB/s'] / limits.readGBps, (2 * (figures['GMAC/s'] ?? 0)) / limits.f32Gflops);
}

/** What was varied, out of a line's name: `INT4 960x576, M = 8`, `9 heads of 64 over 3, context 256, 1 at once`,
 * `SmolLM2 135M, decode, 4 at once`.
 * @param {string} part
 * @param {string} name
 * @param {string} counts which tells the tokens of a step's prompt or context
 * @returns {Pick<BenchRow, 'metric' | 'dimensions'>} */
function nameOfLine(part, name, counts) {
  const matmul = /^(\S+ \d+x\d+(?: in \S+)?), M = (\d+)$/.exec(name);
  if (matmul !== null) return { metric: 'matmul', dimensions: { matrix: matmul[1] ?? '', tokens: Number(matmul[2]) } };
  const attention = /^(.+), context (\d+), (\d+) at once$/.exec(name);
  if (attention !== null) {
    const [, heads = '', context, batch] = attention;
    return { metric: 'attention', dimensions: { heads, context: Number(context), batch: Number(batch) } };
  }
  const step = /^(.+), (decode|prefill|load)(?:, (\d+) at once)?$/.exec(name);
  if (step === null) return { metric: part, dimensions: { name } };
  const [, model = '', metric = '', batch] = step;
  const [, prompt] = /a prompt of (\d+) tokens/.exec(counts) ?? [];
  const [, context] = /from a context of (\d+)/.exec(counts) ?? [];
  const varied = Object.entries({ prompt, context, batch }).filter(([, value]) => value !== undefined);
  return { metric, dimensions: { model, ...Object.fromEntries(varied.map(([key, value]) => [key, Number(value)])) } };
}
