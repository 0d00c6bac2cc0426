// @ts-check
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('llama-cpp-process.mjs', import.meta.url));

/** llama.cpp in Node, in a process of its own: what crashes there takes nothing with it. */
export class LlamaCppPeer {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process;
  #options;

  /** @param {{ modelPath: string, threads: number, maxRequests: number, maxTokensEach: number, warmUp: import('./peer.ts').PeerTask }} options */
  constructor(options) {
    this.#options = options;
  }

  /** @returns {Promise<{ subject: import('./peer.ts').PeerSubject, loadMs: number }>} */
  async prepare() {
    this.#process = fork(SCRIPT, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const { warmUp, ...options } = this.#options;
    const loaded = await this.#call('load', options);
    await this.run(warmUp);
    return loaded;
  }

  /** @param {import('./peer.ts').PeerTask} task
   * @returns {Promise<import('./peer.ts').PeerTiming>} */
  async run(task) {
    return (await this.together(task, 1)).answers[0];
  }

  /** @param {import('./peer.ts').PeerTask} task
   * @param {number} count
   * @returns {Promise<any>} a `TogetherTiming` */
  together(task, count) {
    return this.#call('ask', { task, count });
  }

  async close() {
    this.#process?.kill();
  }

  /** One call at a time.
   * @param {string} method
   * @param {unknown} argument
   * @returns {Promise<any>} */
  #call(method, argument) {
    const child = this.#process;
    if (child === undefined) throw new Error('prepare comes first');
    return new Promise((resolve, reject) => {
      const onExit = (/** @type {number | null} */ code) => reject(new Error(`its process ended with ${code}`));
      child.once('exit', onExit);
      child.once('message', (/** @type {{ result?: unknown, error?: string }} */ { result, error }) => {
        child.off('exit', onExit);
        if (error === undefined) resolve(result);
        else reject(new Error(error));
      });
      child.send({ method, argument });
    });
  }
}
