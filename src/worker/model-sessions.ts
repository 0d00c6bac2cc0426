import { LoadWatch } from '../core/load-watch.ts';
import type { EngineStatus, StalledStatus } from '../core/status.ts';
import type { ConnectedSession } from './session-registry.ts';

const READY: EngineStatus = { state: 'ready' };
const LOADING: EngineStatus = { state: 'loading' };

/** The sessions that have a model, and the status of its engine as they know it: lost, set up again, stalled, or ready. */
export class ModelSessions implements Iterable<ConnectedSession> {
  /** Of the load under way. */
  readonly watch: LoadWatch;
  /** With whether their requests may be kept in storage. */
  readonly #persists = new Map<ConnectedSession, boolean>();
  /** The status apart from stalls. */
  #engine = READY;
  /** The status that was sent last. */
  #sent = READY;

  /** @param clock the engine's, in milliseconds */
  constructor(clock: () => number) {
    this.watch = new LoadWatch(clock, () => this.#send(this.#engine === READY ? LOADING : this.#engine));
  }

  get size(): number {
    return this.#persists.size;
  }

  /** Whether the tab of any of them is visible. */
  get isAnyVisible(): boolean {
    return [...this].some(({ isHidden }) => !isHidden);
  }

  [Symbol.iterator](): Iterator<ConnectedSession> {
    return this.#persists.keys();
  }

  /** Adds a session, and sends it the status unless that is ready. @param persists whether its requests may be kept in storage */
  add(session: ConnectedSession, persists: boolean): void {
    if (this.#sent !== READY) session.send([{ type: 'status', status: this.#sent }]);
    this.#persists.set(session, persists);
  }

  /** Returns whether it had the model. */
  delete(session: ConnectedSession): boolean {
    return this.#persists.delete(session);
  }

  /** Whether a session's requests may be kept in storage. */
  persists(session: ConnectedSession): boolean {
    return this.#persists.get(session) ?? false;
  }

  /** The engine answers, or waits for its next load. */
  setReady(): void {
    this.setStatus(READY);
  }

  setStatus(status: EngineStatus): void {
    this.#engine = status;
    this.#send(status);
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
    for (const session of this) session.send([{ type: 'status', status }]);
  }
}
