// @ts-check
import { formatLimits, formatProfile } from './profile-table.mjs';
import { median } from './statistics.mjs';

/** @typedef {import('./report.mjs').Report} Report */
/** @typedef {import('./statistics.mjs').Distribution} Distribution */
/** @typedef {readonly [key: string, value: string]} Row */

/** The table that people read.
 * @param {Report} report */
export function formatReport(report) {
  const rows = [...headRows(report), ...engineRows(report), ...loadRows(report), ...partRows(report)];
  const width = Math.max(...rows.map(([key]) => key.length));
  const profiles = profileTables(report);
  const left = report.leftOut.length === 0 ? [] : [`Left out: ${report.leftOut.join('; ')}.`];
  const verdict = report.clean ? 'Clean run.' : `NOT a clean run: ${report.caveats.join('; ')}.`;
  return [...rows.map(([key, value]) => `${key.padEnd(width)}  ${value}`), ...profiles, '', ...left, verdict].join('\n');
}

/** @param {Report} report
 * @returns {Row[]} */
function headRows({ adapter, loadAverage, cores, model, loadSeconds }) {
  const { vendor, architecture, device, description, isSoftware } = adapter;
  const name = [vendor, architecture, device, description].filter((part) => part !== '');
  const features = adapter.features.length === 0 ? 'no optional features' : adapter.features.join(', ');
  const loaded = loadSeconds === undefined ? '' : `, loaded in ${loadSeconds.toFixed(1)} s`;
  return [
    ['adapter', `${name.join(' ')} (${features}${isSoftware ? ', software' : ''})`],
    ['load average', `${loadAverage.toFixed(2)} on ${cores} cores`],
    ['model', `${model.name} (${model.file})${loaded}`],
  ];
}

/** @param {Report} report
 * @returns {Row[]} */
function engineRows({ options, tuning, perDecodeStep, samples, maxNumBatchedTokens, ttftPromptTokens }) {
  const { promptTokens, decodeTokens } = options;
  /** @type {Row[]} */
  const rows = tuning === undefined ? [] : [['tuning', tuningInWords(tuning)]];
  if (samples.prefillTokensPerSecond !== undefined) {
    const speed = spread(samples.prefillTokensPerSecond, 1);
    rows.push(['prefill', `${speed} tok/s (${promptTokens} tokens, ${maxNumBatchedTokens} a step)`]);
  }
  if (samples.decodeTokensPerSecond !== undefined) {
    const speed = spread(samples.decodeTokensPerSecond, 1);
    rows.push(['decode', `${speed} tok/s (${decodeTokens} tokens from a context of ${promptTokens})`]);
  }
  if (samples.ttftMs !== undefined) {
    rows.push(['TTFT', `${spread(samples.ttftMs, 0)} ms (chat of ${ttftPromptTokens} tokens through createClient)`]);
  }
  for (const [key, value] of Object.entries(perDecodeStep ?? {})) rows.push([key, `${value} per decode step`]);
  return rows;
}

/** @param {import('../../src/core/tuning.ts').TuningMetrics} tuning */
function tuningInWords({ state, gpuMs, numKernels, kernels }) {
  if (state === 'off') return `off: ${numKernels} kernels as they are by default`;
  const gains = kernels.map(({ gain }) => gain);
  const faster = gains.filter((gain) => gain > 1);
  const best = faster.length === 0 ? '' : `: ${spread(faster, 2)} times as fast`;
  return `${kernels.length} of ${numKernels} kernels raced in ${gpuMs.toFixed(0)} ms of the GPU's time; ${faster.length} gained${best}`;
}

/** @param {Report} report
 * @returns {Row[]} */
function loadRows({ load }) {
  return (load?.levels ?? []).map((level) => {
    const done = `${level.completed} done, ${level.failed} failed`;
    const offered = `${level.rate.toFixed(2)} arrivals/s, ${level.meanInFlight.toFixed(1)} in flight`;
    const tokens = `${level.promptTokens.toFixed(0)}+${(level.outputTokens / level.completed).toFixed(0)} tokens`;
    const times = `TTFT ${p50p99(level.ttftMs)}, ITL ${p50p99(level.itlMs)}, TPOT ${level.tpotMs.mean.toFixed(1)} ms`;
    const speed = `${level.outputTokensPerSecond.toFixed(1)} tok/s out`;
    return [`load, ${level.concurrency} at once`, `${speed}; ${times} (${done}; ${tokens}; ${offered})`];
  });
}

/** @param {Report} report
 * @returns {Row[]} */
function partRows({ stall, prefix, close, profile, failover, samples }) {
  /** @type {Row[]} */
  const rows = [];
  if (stall !== undefined) {
    const before = `ITL of ${stall.streams} streams ${p50p99(stall.itlBeforeMs)} before`;
    const during = `p99 ${stall.itlDuringMs.p99.toFixed(1)} ms (of ${stall.itlDuringMs.count}) during`;
    const prompt = `a prompt of ${stall.promptTokens} tokens (${stall.chunks} chunks of ${stall.chunkMs.toFixed(1)} ms)`;
    rows.push(['long prompt', `${before}, ${during} ${prompt}; ${bound(stall.isWithinBound)} ${stall.boundMs.toFixed(1)} ms`]);
  }
  if (prefix !== undefined && samples.prefix !== undefined) {
    const { firstTtftMs, secondTtftMs } = samples.prefix;
    const ttft = `TTFT ${spread(firstTtftMs, 0)} ms, then ${spread(secondTtftMs, 0)} ms in another session`;
    const prompt = `${prefix.promptTokens} tokens, ${prefix.cachedTokens} of them cached`;
    rows.push(['shared prompt', `${ttft} (${prompt}): ${prefix.speedUp.toFixed(1)} times; ${bound(prefix.isWithinBound)} a quarter`]);
  }
  if (close !== undefined && samples.close !== undefined) {
    rows.push(['closed tab', `blocks free after ${spread(samples.close.freedMs, 1)} ms (a look takes ${close.pollMs.toFixed(1)} ms)`]);
  }
  if (profile !== undefined) rows.push(['ceilings', formatLimits(profile.limits)]);
  for (const fault of /** @type {const} */ (['device_lost', 'worker_died'])) {
    if (failover === undefined || samples.failover === undefined) continue;
    const { recoveringMs, readyMs } = failover[fault];
    const total = spread(samples.failover[fault].map(({ firstTextMs }) => firstTextMs), 0);
    const split = `noticed after ${recoveringMs.toFixed(0)}, ready after ${readyMs.toFixed(0)}`;
    rows.push([fault, `${total} ms from the last text before to the first after (${split})`]);
  }
  return rows;
}

/** Each with an empty line before it.
 * @param {Report} report */
function profileTables({ profile }) {
  if (profile === undefined) return [];
  return [profile.decode, profile.prefill].flatMap((each) => ['', formatProfile(each)]);
}

/** @param {boolean} isWithin */
function bound(isWithin) {
  return isWithin ? 'within' : 'ABOVE';
}

/** @param {Distribution} distribution */
function p50p99({ p50, p99 }) {
  return `${p50.toFixed(1)} / ${p99.toFixed(1)} ms`;
}

/** The median, and between what it lies where there are several.
 * @param {readonly number[]} values
 * @param {number} digits */
function spread(values, digits) {
  const middle = median(values).toFixed(digits);
  if (values.length < 2) return middle;
  return `${middle} [${Math.min(...values).toFixed(digits)}..${Math.max(...values).toFixed(digits)}]`;
}
