// @ts-check
import { Omitted } from './omitted.mjs';
import { faultOf, leadingAgreement } from './task.mjs';

/**
 * @typedef {import('./peer.ts').PeerTask} PeerTask
 * @typedef {import('./peer.ts').PeerTiming} PeerTiming
 * @typedef {import('./peer.ts').TogetherTiming} TogetherTiming
 *
 * @typedef {object} Peer an engine that can be asked
 * @property {() => Promise<{ subject: import('./peer.ts').PeerSubject, loadMs: number }>} prepare
 * @property {(task: PeerTask) => Promise<PeerTiming>} run
 * @property {(task: PeerTask, count: number) => Promise<TogetherTiming>} together
 * @property {(task: PeerTask, count: number) => Promise<TogetherTiming>} [inTabs]
 * @property {() => Promise<void>} close
 *
 * @typedef {{ engine: string, backend: import('./peer.ts').Backend, weights: string }} PeerName
 * @typedef {PeerName & { peer: Peer }} Entry
 *
 * @typedef {object} Figures what one of them gave
 * @property {PeerName} name
 * @property {import('./peer.ts').PeerSubject} [subject]
 * @property {number} [loadMs]
 * @property {PeerTiming[]} runs
 * @property {number[]} agreement leading tokens that are the expected ones, of each run
 * @property {TogetherTiming[]} together
 * @property {TogetherTiming[]} tabs
 * @property {{ what: string, why: string }[]} omitted
 * @property {{ what: string, why: string }[]} failures
 * @property {boolean} isClosed whether it is asked no more
 *
 * @typedef {object} Plan
 * @property {PeerTask} task
 * @property {import('./task.mjs').Expected} expected
 * @property {number} repeats
 * @property {number} requests at once, in one page and in as many tabs
 * @property {number} limitMs for each thing that is asked of an engine
 * @property {(line: string) => void} log
 */

/**
 * Loads all, then asks each in turn, round after round: what the machine does meanwhile falls on all alike. One that fails
 * is left out of what follows, and nobody else is.
 *
 * @param {readonly Entry[]} entries
 * @param {Plan} plan
 * @returns {Promise<Figures[]>}
 */
export async function measureAll(entries, plan) {
  const figures = entries.map(newFigures);
  const each = async (/** @type {string} */ what, /** @type {(entry: Entry, own: Figures) => Promise<void>} */ run) => {
    for (const [i, entry] of entries.entries()) {
      const own = /** @type {Figures} */ (figures[i]);
      if (isTooSlow(own, what, plan)) continue;
      if (own.isClosed || [...own.omitted, ...own.failures].some((left) => left.what === what)) continue;
      plan.log(`${what}: ${nameOf(own.name)}`);
      const error = await attempt(own, what, plan.limitMs, () => run(entry, own));
      // What is late would compute on beside the others.
      if (error instanceof Late || (error !== undefined && (what === 'load' || what === 'answer'))) {
        own.isClosed = true;
        await entry.peer.close();
      }
    }
  };
  await each('load', async ({ peer }, own) => {
    Object.assign(own, await peer.prepare());
  });
  for (let round = 0; round < plan.repeats; round++) await each('answer', (entry, own) => answerOnce(entry, own, plan));
  for (let round = 0; round < plan.repeats; round++) await each('at once', (entry, own) => together(entry, own, plan));
  for (let round = 0; round < plan.repeats; round++) await each('tabs', (entry, own) => inTabs(entry, own, plan));
  return figures;
}

class Late extends Omitted {}

/** Whether so many answers at once would take too long, as one alone took; then the figures say so.
 * @param {Figures} own
 * @param {string} what
 * @param {Plan} plan */
function isTooSlow({ runs, omitted }, what, { requests, limitMs }) {
  if (what !== 'at once' && what !== 'tabs') return false;
  const ms = Math.max(0, ...runs.map(({ lastMs }) => lastMs)) * requests;
  if (ms <= limitMs) return false;
  const why = `it would take about ${Math.round(ms / 1000)} s`;
  if (!omitted.some((left) => left.what === what)) omitted.push({ what, why });
  return true;
}

/** @param {PeerName} name */
export function nameOf({ engine, backend, weights }) {
  return `${engine} ${backend} ${weights}`;
}

/** @param {Entry} entry
 * @returns {Figures} */
function newFigures({ engine, backend, weights }) {
  const name = { engine, backend, weights };
  return { name, runs: [], agreement: [], together: [], tabs: [], omitted: [], failures: [], isClosed: false };
}

/** @param {Entry} entry
 * @param {Figures} own
 * @param {Plan} plan */
async function answerOnce({ peer }, own, { task, expected }) {
  const answer = await peer.run(task);
  check([answer], task);
  own.runs.push(answer);
  own.agreement.push(leadingAgreement(answer, expected));
}

/** @param {Entry} entry
 * @param {Figures} own
 * @param {Plan} plan */
async function together({ peer }, own, { task, requests }) {
  const timing = await peer.together(task, requests);
  check(timing.answers, task);
  own.together.push(timing);
}

/** @param {Entry} entry
 * @param {Figures} own
 * @param {Plan} plan */
async function inTabs({ peer }, own, { task, requests }) {
  if (peer.inTabs === undefined) throw new Omitted('it runs in no browser');
  const timing = await peer.inTabs(task, requests);
  check(timing.answers, task);
  own.tabs.push(timing);
}

/** @param {readonly PeerTiming[]} answers
 * @param {PeerTask} task */
function check(answers, task) {
  const fault = answers.map((answer) => faultOf(answer, task)).find((found) => found !== undefined);
  if (fault !== undefined) throw new Error(fault);
}

/** @param {Figures} own
 * @param {string} what
 * @param {number} limitMs
 * @param {() => Promise<void>} run */
async function attempt(own, what, limitMs, run) {
  try {
    await within(limitMs, run());
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    (error instanceof Omitted ? own.omitted : own.failures).push({ what, why });
    return error;
  }
  return undefined;
}

/** @template Result
 * @param {number} limitMs
 * @param {Promise<Result>} promise */
async function within(limitMs, promise) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Late(`it takes longer than ${limitMs / 1000} s`)), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
