import { LoadWatch } from '../core/load-watch.ts';
import type { EngineStatus, StalledStatus } from '../core/status.ts';
import type { ConnectedSession } from './session-registry.ts';

const READY: EngineStatus = { state: 'ready' };
const LOADING: EngineStatus = { state: 'loading' };

/** The status of a model's engine, as its sessions know it: lost, set up again, stalled while it loads, or ready. */
export class ModelStatus {
  /** Of the load under way. */
  readonly watch: LoadWatch;
  readonly #sessions: ReadonlySet<ConnectedSession>;
  /** The status apart from stalls. */
  #engine = READY;
  /** The status that was sent last. */
  #sent = READY;

  /** @param clock the engine's, in milliseconds */
  constructor(sessions: ReadonlySet<ConnectedSession>, clock: () => number) {
    this.#sessions = sessions;
    this.watch = new LoadWatch(clock, () => this.#send(this.#engine === READY ? LOADING : this.#engine));
  }

  /** The engine answers, or waits for its next load. */
  ready(): void {
    this.set(READY);
  }

  set(status: EngineStatus): void {
    this.#engine = status;
    this.#send(status);
  }

  /** Sends the status to a session that has just come, unless it is ready. */
  sendTo(session: ConnectedSession): void {
    if (this.#sent !== READY) session.send([{ type: 'status', status: this.#sent }]);
  }

  /** Checks the load under way. If it has stalled, that is sent and returned. */
  checkLoad(): StalledStatus | undefined {
    const stalled = this.watch.look();
    if (stalled !== undefined) this.#send(stalled);
    return stalled;
  }

  #send(status: EngineStatus): void {
    if (this.#sent === status) return;
    this.#sent = status;
    for (const session of this.#sessions) session.send([{ type: 'status', status }]);
  }
}
