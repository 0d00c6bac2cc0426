// @ts-check

/** @typedef {import('./figures.ts').RequestTimes} RequestTimes */

/**
 * The value that `p` percent of all lie below, linearly between neighbours: numpy's `percentile`, which vllm bench uses.
 *
 * @param {readonly number[]} values
 * @param {number} p 0 to 100
 * @returns {number} NaN of none
 */
export function percentile(values, p) {
  const sorted = values.toSorted((a, b) => a - b);
  const rank = ((sorted.length - 1) * p) / 100;
  const below = sorted[Math.floor(rank)] ?? NaN;
  const above = sorted[Math.ceil(rank)] ?? NaN;
  return below + (above - below) * (rank - Math.floor(rank));
}

/** @param {readonly number[]} values
 * @returns {number} NaN of none */
export function median(values) {
  return percentile(values, 50);
}

/** @param {readonly number[]} values
 * @returns {number} NaN of none */
export function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** @typedef {{ mean: number, p50: number, p99: number, count: number }} Distribution */

/** @param {readonly number[]} values
 * @returns {Distribution} */
export function distribution(values) {
  return { mean: mean(values), p50: percentile(values, 50), p99: percentile(values, 99), count: values.length };
}

/** The times between neighbours.
 * @param {readonly number[]} times */
export function gaps(times) {
  return times.slice(1).map((time, i) => time - (times[i] ?? NaN));
}

/** Whether a request ended as it should, with something to read.
 * @param {RequestTimes} request */
function isCompleted({ error, textMs }) {
  return error === undefined && textMs.length > 0;
}

/** Mean milliseconds a token after the first; undefined with fewer than two tokens.
 * @param {RequestTimes} request */
export function tpotOf({ textMs: [ttft = NaN], endMs, outputTokens }) {
  return outputTokens < 2 ? undefined : (endMs - ttft) / (outputTokens - 1);
}

/**
 * vllm bench's figures of one load. Requests that failed count as failed and in nothing else.
 *
 * @param {readonly RequestTimes[]} requests
 * @param {number} durationMs from the first arrival to the last end
 */
export function loadStatistics(requests, durationMs) {
  const completed = requests.filter(isCompleted);
  const outputTokens = completed.reduce((sum, request) => sum + request.outputTokens, 0);
  return {
    completed: completed.length,
    failed: requests.length - completed.length,
    promptTokens: mean(completed.map(({ promptTokens }) => promptTokens)),
    cachedTokens: completed.reduce((sum, { cachedTokens }) => sum + cachedTokens, 0),
    outputTokens,
    durationSeconds: durationMs / 1000,
    outputTokensPerSecond: (outputTokens / durationMs) * 1000,
    requestsPerSecond: (completed.length / durationMs) * 1000,
    // Little's law, over all: also those that failed were in flight.
    meanInFlight: requests.reduce((sum, { endMs }) => sum + endMs, 0) / durationMs,
    ttftMs: distribution(completed.flatMap(({ textMs }) => textMs.slice(0, 1))),
    itlMs: distribution(completed.flatMap(({ textMs }) => gaps(textMs))),
    tpotMs: distribution(completed.flatMap((request) => tpotOf(request) ?? [])),
    e2eMs: distribution(completed.map(({ endMs }) => endMs)),
  };
}

/**
 * The gaps of streams before a moment, and those that the time from it to `until` touches.
 *
 * @param {readonly (readonly number[])[]} streams when each stream's pieces of text came
 * @param {{ since: number, from: number, until: number }} window gaps that begin before `since` are left out
 */
export function gapsAround(streams, { since, from, until }) {
  /** @type {number[]} */
  const before = [];
  /** @type {number[]} */
  const during = [];
  for (const times of streams) {
    for (const [i, end] of times.slice(1).entries()) {
      const start = times[i] ?? NaN;
      if (start >= since && end <= from) before.push(end - start);
      else if (end > from && start < until) during.push(end - start);
    }
  }
  return { before, during };
}

/**
 * Where the time of a failover went, all in milliseconds from the last text before it.
 *
 * @param {readonly number[]} textAt when the stream's pieces of text came
 * @param {{ injectedAt: number, recoveringAt: number, readyAt: number }} events
 * @returns {import('./figures.ts').FailoverSample | undefined} undefined where there was no text before, or none after
 */
export function failoverTimes(textAt, { injectedAt, recoveringAt, readyAt }) {
  const last = textAt.findLast((time) => time < readyAt);
  const first = textAt.find((time) => time >= readyAt);
  if (last === undefined || first === undefined) return undefined;
  return {
    injectedMs: injectedAt - last,
    recoveringMs: recoveringAt - last,
    readyMs: readyAt - last,
    firstTextMs: first - last,
  };
}
