import type { Link } from '../../../src/core/link.ts';

/** One end of a MessageChannel whose messages arrive in order, each when its gate says so. */
export class SimulatedPort extends EventTarget implements Link {
  #isClosed = false;
  #peer: SimulatedPort | undefined;
  #sent: Promise<unknown> = Promise.resolve();
  readonly #gate: () => Promise<void>;

  private constructor(gate: () => Promise<void>) {
    super();
    this.#gate = gate;
  }

  static pair(gate: (label: string) => Promise<void>): readonly [tab: SimulatedPort, worker: SimulatedPort] {
    const tab = new SimulatedPort(() => gate('message to the worker'));
    const worker = new SimulatedPort(() => gate('message to the tab'));
    tab.#peer = worker;
    worker.#peer = tab;
    return [tab, worker];
  }

  postMessage(message: unknown): void {
    if (this.#isClosed) return;
    const data = structuredClone(message);
    this.#sent = this.#sent.then(this.#gate).then(() => this.#peer?.receive(data));
  }

  receive(data: unknown): void {
    if (!this.#isClosed) this.dispatchEvent(new MessageEvent('message', { data }));
  }

  start(): void {}

  close(): void {
    this.#isClosed = true;
  }
}
