// @ts-check
import { leftOut } from './parts.mjs';
import { distribution, loadStatistics, median, tpotOf } from './statistics.mjs';

/**
 * @typedef {import('./figures.ts').BenchFigures} BenchFigures
 * @typedef {import('./figures.ts').BenchOptions} BenchOptions
 * @typedef {import('./figures.ts').BenchPart} BenchPart
 * @typedef {import('./figures.ts').PartFigures} PartFigures
 * @typedef {{ average: number, cores: number }} Load the machine's load average over a minute, before the bench
 * @typedef {{ parts: readonly BenchPart[], failures: readonly string[] }} Run what was to be measured, and what could not be
 * @typedef {ReturnType<typeof makeReport>} Report
 */

/** Of the report's fields: one more with each change of what a field means. */
const VERSION = 1;

/** Above this much load for each core, others' work shows in the figures. */
const BUSY = 0.5;

/**
 * Why the figures say less than they seem to; none: a clean run.
 *
 * @param {Load} load
 * @param {BenchFigures['subject']['adapter']} adapter
 * @param {boolean} isStandIn whether the model is not the one the bench is about
 */
export function caveats({ average, cores }, adapter, isStandIn) {
  const found = [];
  if (average / cores > BUSY) {
    found.push(`the machine is busy: load average ${average.toFixed(2)} on ${cores} cores before the start`);
  }
  if (adapter.isSoftware) found.push('the adapter is software');
  if (isStandIn) found.push('the model is a tiny stand-in');
  return found;
}

/**
 * @param {BenchFigures} figures
 * @param {Omit<BenchOptions, 'modelUrl'>} options
 * @param {Load} load
 * @param {{ file: string, isStandIn: boolean }} model
 * @param {Run} run
 */
export function makeReport(figures, options, load, model, { parts, failures }) {
  const { adapter, modelName } = figures.subject;
  const measured = {
    ...(figures.engine && engineReport(figures.engine)),
    ...(figures.ttft && { ttftMs: median(figures.ttft.ttftMs), ttftPromptTokens: figures.ttft.promptTokens }),
    ...(figures.load && { load: loadReport(figures.load) }),
    ...(figures.stall && { stall: stallReport(figures.stall) }),
    ...(figures.prefix && { prefix: prefixReport(figures.prefix) }),
    ...(figures.close && { close: { freedMs: median(figures.close.freedMs), pollMs: figures.close.pollMs } }),
    ...(figures.profile && { profile: figures.profile }),
    ...(figures.failover && { failover: failoverReport(figures.failover) }),
  };
  const found = [
    ...caveats(load, adapter, model.isStandIn),
    ...failures,
    ...(measured.load?.levels ?? []).flatMap(({ concurrency, failed }) =>
      failed === 0 ? [] : [`${failed} requests of ${concurrency} at once failed`],
    ),
    ...((measured.failover?.bytesFetched ?? 0) > 0 ? ['weights were fetched anew in a failover'] : []),
  ];
  return {
    version: VERSION,
    clean: found.length === 0,
    caveats: found,
    leftOut: leftOut(parts, options.quick),
    date: new Date().toISOString(),
    adapter,
    loadAverage: load.average,
    cores: load.cores,
    model: { name: modelName, ...model },
    options,
    ...measured,
    rows: [figures.models].flatMap((part) => part?.rows ?? []),
    omitted: [figures.models].flatMap((part) => part?.omitted ?? []),
    samples: samplesOf(figures),
  };
}

/** @param {PartFigures['engine']} engine */
function engineReport(engine) {
  return {
    loadSeconds: engine.loadSeconds,
    tuning: engine.tuning,
    maxNumBatchedTokens: engine.maxNumBatchedTokens,
    maxStepsPerPlan: engine.maxStepsPerPlan,
    prefillTokensPerSecond: median(engine.prefillTokensPerSecond),
    decodeTokensPerSecond: median(engine.decodeTokensPerSecond),
    perDecodeStep: engine.perDecodeStep,
  };
}

/** @param {PartFigures['load']} load */
function loadReport({ levels, ...workload }) {
  return {
    ...workload,
    levels: levels.map(({ concurrency, rate, durationMs, requests }) => {
      return { concurrency, rate, ...loadStatistics(requests, durationMs) };
    }),
  };
}

/** The bound: nobody waits longer than for twice an ITL and one chunk of the prompt.
 * @param {PartFigures['stall']} stall */
function stallReport({ streams, promptTokens, aloneSteps, aloneMs, beforeMs, duringMs }) {
  const before = distribution(beforeMs);
  const during = distribution(duringMs);
  const chunkMs = aloneMs / aloneSteps;
  const boundMs = 2 * before.p50 + chunkMs;
  const sizes = { streams, promptTokens, chunks: aloneSteps };
  return { ...sizes, chunkMs, itlBeforeMs: before, itlDuringMs: during, boundMs, isWithinBound: during.p99 <= boundMs };
}

/** The bound: the second session waits a quarter as long as the first at most.
 * @param {PartFigures['prefix']} prefix */
function prefixReport({ promptTokens, firstMs, secondMs, cachedTokens }) {
  const first = median(firstMs);
  const second = median(secondMs);
  const ttft = { firstTtftMs: first, secondTtftMs: second, speedUp: first / second };
  return { promptTokens, cachedTokens: median(cachedTokens), ...ttft, isWithinBound: second <= first / 4 };
}

/** @param {PartFigures['failover']} failover */
function failoverReport({ samples, bytesFetched }) {
  /** @param {readonly import('./figures.ts').FailoverSample[]} of */
  const medians = (of) => ({
    recoveringMs: median(of.map(({ recoveringMs }) => recoveringMs)),
    readyMs: median(of.map(({ readyMs }) => readyMs)),
    firstTextMs: median(of.map(({ firstTextMs }) => firstTextMs)),
  });
  return { bytesFetched, device_lost: medians(samples.device_lost), worker_died: medians(samples.worker_died) };
}

/** What the figures were made of, as far as it is not too much: of a load's requests, not each token's time.
 * @param {BenchFigures} figures */
function samplesOf({ engine, ttft, load, stall, prefix, close, failover }) {
  return {
    ...(engine && {
      prefillTokensPerSecond: engine.prefillTokensPerSecond,
      decodeTokensPerSecond: engine.decodeTokensPerSecond,
    }),
    ...(ttft && { ttftMs: ttft.ttftMs }),
    ...(load && {
      load: load.levels.map(({ concurrency, requests }) => ({
        concurrency,
        requests: requests.map((request) => ({
          ttftMs: request.textMs[0],
          tpotMs: tpotOf(request),
          e2eMs: request.endMs,
          promptTokens: request.promptTokens,
          outputTokens: request.outputTokens,
          error: request.error,
        })),
      })),
    }),
    ...(stall && { stall: { itlBeforeMs: stall.beforeMs, itlDuringMs: stall.duringMs } }),
    ...(prefix && { prefix: { firstTtftMs: prefix.firstMs, secondTtftMs: prefix.secondMs } }),
    ...(close && { close: { freedMs: close.freedMs } }),
    ...(failover && { failover: failover.samples }),
  };
}
