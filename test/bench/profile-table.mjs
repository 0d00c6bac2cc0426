// @ts-check

/**
 * @typedef {import('../../src/core/profile.ts').StepProfile} StepProfile
 */

const HEAD = ['kernel', 'calls', 'ms', 'share', 'GB/s', 'GFLOP/s', '% of ceiling'];

/** A step's kernels, those that take longest first.
 * @param {StepProfile} profile */
export function formatProfile({ phase, steps, rows, ms, spanMs, resolutionUs, lostSpans, kernels }) {
  const counted = `${steps} ${phase} steps of ${rows.toFixed(1)} tokens: ${ms.toFixed(3)} ms of kernels in ${spanMs.toFixed(3)} ms a step`;
  const lost = lostSpans === 0 ? '' : `, ${lostSpans} dispatches left out`;
  const lines = kernels.map(({ name, calls, ms: kernelMs, share, gbps, gflops, ofCeiling }) => [
    name,
    String(Math.round(10 * calls) / 10),
    kernelMs.toFixed(3),
    percent(share),
    significant(gbps),
    significant(gflops),
    percent(ofCeiling),
  ]);
  const title = `profile, ${counted} (timestamps in steps of ${resolutionUs} us${lost})`;
  return [title, ...columns([HEAD, ...lines])].join('\n');
}

/** The first column to the left, numbers to the right.
 * @param {readonly (readonly string[])[]} rows */
function columns(rows) {
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => {
    const cells = row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)));
    return `  ${cells.join('  ')}`;
  });
}

/** @param {number | undefined} value */
function percent(value) {
  return value === undefined ? '-' : `${(100 * value).toFixed(1)} %`;
}

/** Three digits, and no more of them than say something.
 * @param {number | undefined} value */
function significant(value) {
  if (value === undefined || value === 0) return '-';
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
