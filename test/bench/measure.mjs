// @ts-check
import { rowsOfPart } from '../../demo/bench/derive-rows.mjs';
import { exposeGpuProcess } from './gpu-process.mjs';
import { exposeHeapUsage } from './heap-usage.mjs';
import { WITHOUT_CLIENT } from './parts.mjs';

/**
 * @typedef {import('../../demo/bench/row.ts').BenchRow} BenchRow
 * @typedef {import('../../demo/bench/figures.ts').BenchSubject} BenchSubject
 *
 * @typedef {object} State what is measured so far
 * @property {Record<string, { repetitions: number, seconds: number }>} parts
 * @property {BenchRow[]} rows
 * @property {Record<string, unknown[]>} details
 * @property {string[]} failures
 * @property {string[]} leftOut
 *
 * @typedef {object} Run
 * @property {import('playwright').Browser} browser
 * @property {Awaited<ReturnType<typeof import('./server.mjs').startBenchServer>>} server
 * @property {import('./options.mjs').Options} options
 * @property {AbortSignal} signal ends the run after what is measured already
 * @property {(subject: BenchSubject) => Promise<void>} onSubject called once, as soon as it is known what is measured
 * @property {() => unknown} onPart called after each part
 * @property {(line: string) => void} log
 */

/** @returns {State} */
export function nothingMeasured() {
  return { parts: {}, rows: [], details: {}, failures: [], leftOut: [] };
}

/**
 * Measures what is missing of each repetition, in a page of its own that has nothing of the one before: each part on its
 * own, so that one that fails leaves the others' figures.
 *
 * @param {Run} run
 * @param {State} state grows with each part
 */
export async function measureAll(run, state) {
  const { options, signal, log } = run;
  const start = performance.now();
  /** @type {BenchSubject | undefined} */
  let subject;
  for (let repetition = 1; repetition <= options.repeat && !signal.aborted; repetition++) {
    const missing = options.parts.filter((part) => (state.parts[part]?.repetitions ?? 0) < repetition);
    if (missing.length === 0) continue;
    const page = await openPage(run);
    for (const part of missing) {
      if (signal.aborted) break;
      const name = options.repeat === 1 ? part : `${part}, ${repetition} of ${options.repeat}`;
      const before = performance.now();
      try {
        const { figures, found } = await measurePart(run, page, part);
        if (subject === undefined && found !== undefined) await run.onSubject((subject = found));
        const seconds = (performance.now() - before) / 1000;
        add(state, part, figures, { ...options.sizes, model: subject?.modelName ?? '' }, seconds);
        log(`${name}: done in ${seconds.toFixed(0)} s (${((performance.now() - start) / 1000).toFixed(0)} s in all)`);
        run.onPart();
      } catch (error) {
        if (signal.aborted) break;
        if (error instanceof ResumeError) throw error;
        state.failures.push(`${name} failed: ${error instanceof Error ? error.message : String(error)}`);
        log(state.failures.at(-1) ?? '');
      }
    }
    await page.close().catch((error) => signal.aborted || Promise.reject(error));
  }
}

/** A run that cannot be gone on with. */
export class ResumeError extends Error {}

/** @param {Run} run */
async function openPage({ browser, server }) {
  const page = await browser.newPage();
  page.on('console', (message) => message.type() === 'debug' || console.error(message.text()));
  page.on('pageerror', (error) => console.error(error.message));
  await exposeGpuProcess(page);
  await exposeHeapUsage(page);
  await page.goto(server.pageUrl);
  await page.waitForFunction('globalThis.bench !== undefined');
  return page;
}

/** A part's figures, and what they were measured on, as far as that is known by then.
 * @param {Run} run
 * @param {import('playwright').Page} page
 * @param {import('../../demo/bench/figures.ts').BenchPart} part */
async function measurePart({ server, options }, page, part) {
  const asked = JSON.stringify({ ...options.sizes, modelUrl: server.modelUrl });
  const ask = (/** @type {string} */ call) => page.evaluate(`bench.${call}`);
  // A client's first part loads the model.
  const known = WITHOUT_CLIENT.includes(part) ? undefined : await ask(`subject(${asked})`);
  const bytesBefore = server.modelBytesSent();
  const measured = await ask(`measure(${JSON.stringify(part)}, ${asked})`);
  const bytesFetched = server.modelBytesSent() - bytesBefore;
  const figures = part === 'failover' ? { samples: measured, bytesFetched } : measured;
  return { figures, found: known ?? subjectOf(measured) };
}

/** What a part without a client says itself of what it measured, if it does.
 * @param {Partial<BenchSubject>} figures */
function subjectOf({ adapter, modelName }) {
  return adapter === undefined || modelName === undefined ? undefined : { adapter, modelName };
}

/**
 * @param {State} state
 * @param {string} part
 * @param {object} figures
 * @param {import('../../demo/bench/derive-rows.mjs').Asked} asked
 * @param {number} seconds
 */
export function add(state, part, figures, asked, seconds) {
  const before = state.parts[part] ?? { repetitions: 0, seconds: 0 };
  state.rows.push(...rowsOfPart(part, figures, asked));
  state.parts[part] = { repetitions: before.repetitions + 1, seconds: before.seconds + seconds };
  const { omitted = [] } = /** @type {{ omitted?: readonly { what: string, why: string }[] }} */ (figures);
  const left = omitted.map(({ what, why }) => `${part}: ${what} (${why})`);
  state.leftOut = [...new Set([...state.leftOut, ...left])];
  const detail = detailOf(figures);
  state.details[part] = [...(state.details[part] ?? []), ...(Object.keys(detail).length === 0 ? [] : [detail])];
}

/** What is not in rows, as far as it is not too much: of a load's requests not each token's time, of a profile not each dispatch's.
 * @param {object} figures */
function detailOf(figures) {
  const { rows: _, omitted: __, adapter: ___, modelName: ____, ...detail } = /** @type {Record<string, any>} */ (figures);
  return JSON.parse(JSON.stringify(detail, (key, value) => {
    if (key === 'dispatches' && Array.isArray(value)) return undefined;
    return key === 'requests' ? value.map(requestDetail) : value;
  }));
}

/** @param {import('../../demo/bench/figures.ts').RequestTimes} request */
function requestDetail({ textMs, ...request }) {
  return { ...request, ttftMs: textMs[0] };
}
