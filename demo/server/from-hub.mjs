// @ts-check
import { rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { fileSize } from './model-spec.mjs';

/**
 * @typedef {object} HubOptions
 * @property {string} hub origin, e.g. https://huggingface.co
 * @property {number} [connectMs] how long to wait for an answer
 * @property {number} [stallMs] how long a transfer may stand still
 * @property {number} [pauseMs] before a broken transfer is resumed
 * @property {AbortSignal | undefined} [signal]
 * @property {(progress: import('./model-spec.mjs').FetchProgress) => void} [onProgress]
 */

/**
 * Brings `part` to the model's full length, going on from what it holds. A transfer that breaks is resumed for as long
 * as each try brings something; what has arrived stays in `part`, for the next run too.
 *
 * @param {import('./model-spec.mjs').ModelSpec} model
 * @param {string} part
 * @param {HubOptions} options
 * @throws where the hub cannot be reached, refuses, or offers a file of another length
 */
export async function downloadFromHub(model, part, options) {
  if (fileSize(part) > model.bytes) rmSync(part);
  for (;;) {
    const before = fileSize(part);
    if (before === model.bytes) return;
    try {
      await transfer(model, part, before, options);
    } catch (error) {
      if (options.signal?.aborted || fileSize(part) <= before) throw error;
    }
    if (fileSize(part) > before && fileSize(part) < model.bytes) await pause(options.pauseMs ?? 1000);
  }
}

/**
 * One request, written to the end of `part` as it comes.
 *
 * @param {import('./model-spec.mjs').ModelSpec} model
 * @param {string} part
 * @param {number} have
 * @param {HubOptions} options
 */
async function transfer(model, part, have, { hub, connectMs = 10_000, stallMs = 30_000, signal, onProgress }) {
  const watchdog = new Watchdog(signal);
  /** @type {import('node:fs/promises').FileHandle | undefined} */
  let file;
  try {
    watchdog.expect(connectMs, `no answer within ${connectMs / 1000} s`);
    const url = `${hub}/${model.repo}/resolve/${model.revision}/${model.file}`;
    // `identity`: a compressed answer has neither ranges nor the length to check.
    const headers = { 'accept-encoding': 'identity', ...(have > 0 ? { range: `bytes=${have}-` } : {}) };
    const response = await fetch(url, { headers, signal: watchdog.signal });
    let done = startOf(response, have, model.bytes);
    // Written chunk by chunk, and not through a stream, whose buffer would be lost when the transfer breaks.
    file = await open(part, done === 0 ? 'w' : 'a');
    const stalled = `nothing came for ${stallMs / 1000} s`;
    watchdog.expect(stallMs, stalled);
    for await (const chunk of response.body ?? []) {
      done += chunk.length;
      if (done > model.bytes) throw new Error(`more than ${model.bytes} bytes came`);
      await file.writeFile(chunk);
      onProgress?.({ stage: 'download', done, total: model.bytes });
      watchdog.expect(stallMs, stalled);
    }
  } catch (error) {
    throw watchdog.reason ?? signal?.reason ?? plain(error);
  } finally {
    watchdog.stop();
    await file?.close();
  }
}

/**
 * Where in the file the answer's body starts.
 *
 * @param {Response} response
 * @param {number} have
 * @param {number} bytes
 */
function startOf(response, have, bytes) {
  const offered =
    response.status === 206
      ? /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get('content-range') ?? '')
      : [null, '0', response.headers.get('content-length') ?? String(bytes)];
  if (!response.ok) throw new Error(`HTTP ${response.status} ${response.statusText}`.trim());
  const start = Number(offered?.[1]);
  if (Number(offered?.[2]) !== bytes) throw new Error(`a file of ${offered?.[2]} bytes instead of ${bytes}`);
  if (start !== 0 && start !== have) throw new Error(`asked for bytes from ${have}, got them from ${start}`);
  return start;
}

/** Aborts when what is expected does not come in time, or when the caller does. */
class Watchdog {
  #controller = new AbortController();
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  /** Why it barked. @type {Error | undefined} */
  reason;

  /** @param {AbortSignal | undefined} signal */
  constructor(signal) {
    this.signal = signal === undefined ? this.#controller.signal : AbortSignal.any([signal, this.#controller.signal]);
  }

  /** @param {number} ms
   * @param {string} complaint */
  expect(ms, complaint) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.reason = new Error(complaint);
      this.#controller.abort(this.reason);
    }, ms);
  }

  /** Also lets go of an answer that was not read to its end. */
  stop() {
    clearTimeout(this.#timer);
    this.#controller.abort();
  }
}

/** fetch says only "fetch failed"; what failed is its cause.
 * @param {unknown} error */
function plain(error) {
  if (!(error instanceof Error)) return new Error(String(error));
  const { cause } = error;
  if (!(cause instanceof Error)) return error;
  // Where every address of a name refuses, the message is empty and the code tells.
  return new Error(cause.message || ('code' in cause ? String(cause.code) : cause.name), { cause: error });
}

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
