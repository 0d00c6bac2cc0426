// @ts-check

/**
 * @typedef {import('./figures.ts').BenchFigures} BenchFigures
 * @typedef {import('./figures.ts').BenchOptions} BenchOptions
 * @typedef {{ average: number, cores: number }} Load the machine's load average over a minute, before the bench
 * @typedef {ReturnType<typeof makeReport>} Report
 */

/** Above this much load for each core, others' work shows in the figures. */
const BUSY = 0.5;

/** @param {readonly number[]} values
 * @returns {number} NaN of none */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle)] ?? NaN)) / 2;
}

/**
 * Why the figures say less than they seem to; none: a clean run.
 *
 * @param {Load} load
 * @param {BenchFigures['engine']['adapter']} adapter
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
 */
export function makeReport({ engine, client }, options, load, model) {
  const found = caveats(load, engine.adapter, model.isStandIn);
  return {
    clean: found.length === 0,
    caveats: found,
    date: new Date().toISOString(),
    adapter: engine.adapter,
    loadAverage: load.average,
    cores: load.cores,
    model: { name: engine.modelName, ...model },
    options,
    loadSeconds: engine.loadSeconds,
    maxNumBatchedTokens: engine.maxNumBatchedTokens,
    maxStepsPerPlan: engine.maxStepsPerPlan,
    prefillTokensPerSecond: median(engine.prefillTokensPerSecond),
    decodeTokensPerSecond: median(engine.decodeTokensPerSecond),
    ttftMs: median(client.ttftMs),
    ttftPromptTokens: client.promptTokens,
    perDecodeStep: engine.perDecodeStep,
    samples: {
      prefillTokensPerSecond: engine.prefillTokensPerSecond,
      decodeTokensPerSecond: engine.decodeTokensPerSecond,
      ttftMs: client.ttftMs,
    },
  };
}

/** The table that people read.
 * @param {Report} report */
export function formatReport(report) {
  const { adapter, options, perDecodeStep, samples } = report;
  const { promptTokens, decodeTokens } = options;
  const name = [adapter.vendor, adapter.architecture, adapter.device, adapter.description].filter(
    (part) => part !== '',
  );
  const features = adapter.features.length === 0 ? 'no optional features' : adapter.features.join(', ');
  const speed = (/** @type {readonly number[]} */ values) => `${spread(values, 1)} tok/s`;
  const rows = [
    ['adapter', `${name.join(' ')} (${features}${adapter.isSoftware ? ', software' : ''})`],
    ['load average', `${report.loadAverage.toFixed(2)} on ${report.cores} cores`],
    ['model', `${report.model.name} (${report.model.file}), loaded in ${report.loadSeconds.toFixed(1)} s`],
    [
      'prefill',
      `${speed(samples.prefillTokensPerSecond)} (${promptTokens} tokens, ${report.maxNumBatchedTokens} a step)`,
    ],
    ['decode', `${speed(samples.decodeTokensPerSecond)} (${decodeTokens} tokens from a context of ${promptTokens})`],
    ['TTFT', `${spread(samples.ttftMs, 0)} ms (chat of ${report.ttftPromptTokens} tokens through createClient)`],
    ...Object.entries(perDecodeStep).map(([key, value]) => [key, `${value} per decode step`]),
  ];
  const width = Math.max(...rows.map(([key = '']) => key.length));
  const verdict = report.clean ? 'Clean run.' : `NOT a clean run: ${report.caveats.join('; ')}.`;
  return [...rows.map(([key = '', value]) => `${key.padEnd(width)}  ${value}`), '', verdict].join('\n');
}

/** The median, and between what it lies where there are several.
 * @param {readonly number[]} values
 * @param {number} digits */
function spread(values, digits) {
  const middle = median(values).toFixed(digits);
  if (values.length < 2) return middle;
  return `${middle} [${Math.min(...values).toFixed(digits)}..${Math.max(...values).toFixed(digits)}]`;
}
