import { LoadWatch } from '../core/load-watch.ts';
import type { EngineStatus, StalledStatus } from '../core/status.ts';
import type { ConnectedSession } from './host-session.ts';

const READY: EngineStatus = { state: 'ready' };
const LOADING: EngineStatus = { state: 'loading' };

/** What a model's sessions are told of its engine: that it is lost, set up again, stalled while it loads, or ready. */
export class ModelStatus {
  /** Of the load under way. */
  readonly watch: LoadWatch;
  readonly #sessions: () => ReadonlySet<ConnectedSession>;
  /** What is so whether or not a load has stalled. */
  #engine = READY;
  #told = READY;

  /** @param clock the engine's, in milliseconds */
  constructor(sessions: () => ReadonlySet<ConnectedSession>, clock: () => number) {
    this.#sessions = sessions;
    this.watch = new LoadWatch(clock, () => this.#tell(this.#engine === READY ? LOADING : this.#engine));
  }

  /** The engine answers, or waits for its next load. */
  ready(): void {
    this.set(READY);
  }

  set(status: EngineStatus): void {
    this.#engine = status;
    this.#tell(status);
  }

  /** A session that has come late is told how things stand. */
  tellTo(session: ConnectedSession): void {
    if (this.#told !== READY) session.send([{ type: 'status', status: this.#told }]);
  }

  /** Looks at the load under way; tells, and returns, that it has stalled. */
  look(): StalledStatus | undefined {
    const stalled = this.watch.look();
    if (stalled !== undefined) this.#tell(stalled);
    return stalled;
  }

  #tell(status: EngineStatus): void {
    if (this.#told === status) return;
    this.#told = status;
    for (const session of this.#sessions()) session.send([{ type: 'status', status }]);
  }
}
