// @ts-check
import { distribution, loadStatistics, median } from './statistics.mjs';

/**
 * @typedef {import('./row.ts').BenchRow} BenchRow
 * @typedef {import('./figures.ts').PartFigures} PartFigures
 * @typedef {{ model: string, promptTokens: number, decodeTokens: number }} Asked the model's name, and the engine's sizes
 * @typedef {Readonly<Record<string, string | number>>} Dimensions
 */

/**
 * The rows of one repetition of a part: those that it made itself, and those that follow from its figures.
 *
 * @param {string} part
 * @param {unknown} figures what the part gave
 * @param {Asked} asked
 * @returns {BenchRow[]}
 */
export function rowsOfPart(part, figures, asked) {
  const derive = DERIVED[part];
  const own = /** @type {{ rows?: readonly BenchRow[] }} */ (figures).rows ?? [];
  return [...(derive === undefined ? [] : derive(figures, asked)), ...own];
}

/** Makes rows of one part.
 * @param {string} part
 * @param {Dimensions} dimensions that all have */
function maker(part, dimensions) {
  return (
    /** @type {string} */ metric,
    /** @type {string} */ unit,
    /** @type {BenchRow['better']} */ better,
    /** @type {number | readonly number[]} */ samples,
    /** @type {Dimensions} */ more = {},
  ) => ({ part, metric, dimensions: { ...dimensions, ...more }, unit, better, samples: [samples].flat() });
}

/** @param {PartFigures['engine']} figures
 * @param {Asked} asked
 * @returns {BenchRow[]} */
function engineRows(figures, { model, promptTokens, decodeTokens }) {
  const row = maker('engine', { model });
  const { dispatches, submits, bindGroupsCreated, bytesReadBack } = figures.perDecodeStep;
  return [
    row('load', 's', 'lower', figures.loadSeconds),
    row('prefill', 'tok/s', 'higher', figures.prefillTokensPerSecond, { prompt: promptTokens }),
    row('decode', 'tok/s', 'higher', figures.decodeTokensPerSecond, { context: promptTokens, tokens: decodeTokens, batch: 1 }),
    row('tokens a step at most', 'tok', 'neither', figures.maxNumBatchedTokens),
    row('dispatches', 'a decode step', 'neither', dispatches),
    row('submits', 'a decode step', 'neither', submits),
    row('bind groups created', 'a decode step', 'neither', bindGroupsCreated),
    row('bytes read back', 'a decode step', 'neither', bytesReadBack),
    row('tuning', 'ms of GPU time', 'neither', figures.tuning.gpuMs),
  ];
}

/** @param {import('../../src/core/profile.ts').AdapterLimits} limits
 * @returns {BenchRow[]} */
export function limitsRows(limits) {
  const row = maker('limits', {});
  return [
    row('read', 'GB/s', 'higher', limits.readGBps),
    row('f32', 'GFLOP/s', 'higher', limits.f32Gflops),
    ...(limits.f16Gflops === undefined ? [] : [row('f16', 'GFLOP/s', 'higher', limits.f16Gflops)]),
    ...(limits.int8Gops === undefined ? [] : [row('int8', 'GOP/s', 'higher', limits.int8Gops)]),
    row('dispatch', 'us', 'lower', limits.dispatchUs),
    row('submit', 'us', 'lower', limits.submitUs),
    row('read-back', 'ms', 'lower', limits.readbackMs),
  ];
}

/** @param {PartFigures['ttft']} figures
 * @param {Asked} asked
 * @returns {BenchRow[]} */
function ttftRows({ ttftMs, promptTokens }, { model }) {
  return [maker('ttft', { model, prompt: promptTokens })('TTFT', 'ms', 'lower', ttftMs)];
}

/** A repetition of a level is one sample.
 * @param {PartFigures['load']} figures
 * @param {Asked} asked
 * @returns {BenchRow[]} */
function loadRows({ levels, promptTokens, outputTokens }, { model }) {
  return levels.flatMap(({ concurrency, rate, durationMs, requests }) => {
    const row = maker('load', { model, prompt: promptTokens, answer: outputTokens, concurrency });
    const statistics = loadStatistics(requests, durationMs);
    const counts = [
      row('failed', 'requests', 'lower', statistics.failed),
      row('completed', 'requests', 'neither', statistics.completed),
      row('arrivals', 'a second', 'neither', rate),
      row('in flight', 'requests', 'neither', statistics.meanInFlight),
    ];
    if (statistics.completed === 0) return counts;
    const { ttftMs, itlMs, tpotMs } = statistics;
    return [
      row('output', 'tok/s', 'higher', statistics.outputTokensPerSecond),
      row('TTFT p50', 'ms', 'lower', ttftMs.p50),
      row('TTFT p99', 'ms', 'lower', ttftMs.p99),
      ...(itlMs.count === 0 ? [] : [row('ITL p50', 'ms', 'lower', itlMs.p50), row('ITL p99', 'ms', 'lower', itlMs.p99)]),
      ...(tpotMs.count === 0 ? [] : [row('TPOT mean', 'ms', 'lower', tpotMs.mean)]),
      ...counts,
    ];
  });
}

/** The bound: nobody waits longer than for twice an ITL and one chunk of the prompt.
 * @param {PartFigures['stall']} figures
 * @param {Asked} asked
 * @returns {BenchRow[]} */
function stallRows({ streams, promptTokens, aloneSteps, aloneMs, beforeMs, duringMs }, { model }) {
  const row = maker('stall', { model, streams, prompt: promptTokens });
  const before = distribution(beforeMs);
  const during = distribution(duringMs);
  const chunkMs = aloneMs / aloneSteps;
  return [
    row('ITL p50 before', 'ms', 'lower', before.p50),
    row('ITL p99 before', 'ms', 'lower', before.p99),
    row('ITL p99 during', 'ms', 'lower', during.p99),
    row('ITL p99 during, of its bound', 'times', 'lower', during.p99 / (2 * before.p50 + chunkMs)),
    row('chunk', 'ms', 'lower', chunkMs),
    row('chunks', 'steps', 'neither', aloneSteps),
  ];
}

/** The bound: the second session waits a quarter as long as the first at most.
 * @param {PartFigures['prefix']} figures
 * @param {Asked} asked
 * @returns {BenchRow[]} */
function prefixRows({ promptTokens, firstMs, secondMs, cachedTokens }, { model }) {
  const row = maker('prefix', { model, prompt: promptTokens });
  return [
    row('TTFT first', 'ms', 'lower', firstMs),
    row('TTFT second', 'ms', 'lower', secondMs),
    row('TTFT second, of its bound', 'times', 'lower', median(secondMs) / (median(firstMs) / 4)),
    row('cached', 'tok', 'higher', cachedTokens),
  ];
}

/** @param {PartFigures['close']} figures
 * @param {Asked} asked
 * @returns {BenchRow[]} */
function closeRows({ freedMs, pollMs }, { model }) {
  const row = maker('close', { model });
  return [row('blocks free after', 'ms', 'lower', freedMs), row('a look', 'ms', 'neither', pollMs)];
}

/** @param {PartFigures['failover']} figures
 * @param {Asked} asked
 * @returns {BenchRow[]} */
function failoverRows({ samples, bytesFetched }, { model }) {
  const row = maker('failover', { model });
  const times = Object.entries(samples).flatMap(([fault, each]) => [
    row('noticed', 'ms', 'lower', each.map(({ recoveringMs }) => recoveringMs), { fault }),
    row('ready', 'ms', 'lower', each.map(({ readyMs }) => readyMs), { fault }),
    row('first text', 'ms', 'lower', each.map(({ firstTextMs }) => firstTextMs), { fault }),
  ]);
  return [...times, row('weights fetched', 'bytes', 'lower', bytesFetched)];
}

/** Parts that give figures, and no rows of their own.
 * @type {Readonly<Record<string, (figures: any, asked: Asked) => BenchRow[]>>} */
const DERIVED = {
  engine: engineRows,
  limits: limitsRows,
  ttft: ttftRows,
  load: loadRows,
  stall: stallRows,
  prefix: prefixRows,
  close: closeRows,
  failover: failoverRows,
};
