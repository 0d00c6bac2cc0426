// @ts-check
import { freemem } from 'node:os';
import { statSync } from 'node:fs';
import { Omitted } from './omitted.mjs';

/**
 * @typedef {import('./peer.ts').PeerTask} PeerTask
 * @typedef {import('./peer.ts').PeerTiming} PeerTiming
 * @typedef {import('./peer.ts').TogetherTiming} TogetherTiming
 * @typedef {{ page: string, origin: string, modelPath: string, modelUrl: string, options: Omit<import('./peer.ts').PageOptions, 'modelUrl'>, sharesTabs: boolean, isSerial?: boolean, warmUp: PeerTask }} BrowserPeerOptions
 */

/** Tabs of an engine of its own each hold the file, its weights, and what they compute with. */
const COPIES_A_TAB = 4;

/** An engine in a page, in a browser context of its own: nothing is cached, and its tabs share what tabs of one site share. */
export class BrowserPeer {
  /** @type {import('playwright').BrowserContext | undefined} */
  #context;
  /** @type {import('playwright').Page | undefined} */
  #page;
  #browser;
  #options;

  /** @param {import('playwright').Browser} browser
   * @param {BrowserPeerOptions} options */
  constructor(browser, options) {
    this.#browser = browser;
    this.#options = options;
  }

  /** Loads the model, and checks with a first short answer that the engine computes where it was told to.
   * @returns {Promise<{ subject: import('./peer.ts').PeerSubject, loadMs: number }>} */
  async prepare() {
    this.#context = await this.#browser.newContext();
    const { page, loaded } = await this.#open();
    this.#page = page;
    await this.run(this.#options.warmUp);
    const isOnGpu = Number(await page.evaluate('peer.gpuSubmits()')) > 0;
    const { backend } = this.#options.options;
    if (backend === 'webgpu' && !isOnGpu) throw new Omitted('WebGPU asked for, ran on the CPU: nothing was submitted to a GPU');
    if (backend === 'wasm' && isOnGpu) throw new Error('it was told to stay on the CPU, and used the GPU');
    return loaded;
  }

  /** @param {PeerTask} task
   * @returns {Promise<PeerTiming>} */
  async run(task) {
    const page = this.#opened();
    await page.bringToFront();
    return page.evaluate(`peer.ask(${JSON.stringify(task)})`);
  }

  /** So many requests at once in one page.
   * @param {PeerTask} task
   * @param {number} count
   * @returns {Promise<TogetherTiming>} */
  async together(task, count) {
    if (this.#options.isSerial === true) throw new Omitted('it answers one request at a time');
    const page = this.#opened();
    await page.bringToFront();
    return page.evaluate(`peer.askTogether(${JSON.stringify(task)}, ${count})`);
  }

  /** One request in each of so many tabs, all at once; the first tab is the one that is open anyway.
   * @param {PeerTask} task
   * @param {number} count
   * @returns {Promise<TogetherTiming>} */
  async inTabs(task, count) {
    this.#requireMemory(count);
    /** @type {import('playwright').Page[]} */
    const opened = [];
    try {
      while (opened.length < count - 1) opened.push((await this.#open()).page);
      const pages = [this.#opened(), ...opened];
      for (const page of pages) await page.evaluate(`peer.ask(${JSON.stringify(this.#options.warmUp)})`);
      const start = performance.now();
      const answers = await Promise.all(
        pages.map((page) => /** @type {Promise<PeerTiming>} */ (page.evaluate(`peer.ask(${JSON.stringify(task)})`))),
      );
      return { wallMs: performance.now() - start, answers };
    } finally {
      await Promise.all(opened.map((page) => page.close()));
    }
  }

  async close() {
    await this.#context?.close();
  }

  #opened() {
    if (this.#page === undefined) throw new Error('prepare comes first');
    return this.#page;
  }

  async #open() {
    if (this.#context === undefined) throw new Error('prepare comes first');
    const { page: name, origin, modelUrl, options } = this.#options;
    const page = await this.#context.newPage();
    page.on('pageerror', (error) => console.error(`${name}: ${error.message}`));
    await page.goto(`${origin}/${name}.html`);
    await page.waitForFunction('globalThis.peer !== undefined');
    /** @type {{ subject: import('./peer.ts').PeerSubject, loadMs: number, cannot?: string }} */
    const loaded = await page.evaluate(`peer.load(${JSON.stringify({ ...options, modelUrl })})`);
    if (loaded.cannot !== undefined) throw new Omitted(loaded.cannot);
    return { page, loaded };
  }

  /** @param {number} count */
  #requireMemory(count) {
    if (this.#options.sharesTabs) return;
    const bytes = (count - 1) * COPIES_A_TAB * statSync(this.#options.modelPath).size;
    if (bytes <= freemem()) return;
    const mib = (/** @type {number} */ value) => Math.round(value / 2 ** 20);
    throw new Omitted(`${count} tabs, each with an engine of its own, take about ${mib(bytes)} MiB; ${mib(freemem())} are free`);
  }
}
