import { TabserveError } from '../core/errors.ts';
import type { Frame, LogFrame } from '../core/frames.ts';

/** A connected tab, as the models see it. */
export interface ConnectedSession {
  readonly sessionId: string;
  /** Whether its page is hidden. */
  isHidden: boolean;
  /** Never waits, and does not fail when the tab is gone. */
  send(frames: readonly Frame[]): void;
}

/** Log lines kept while no session is there to read them. */
const MAX_UNREAD_LOG_LINES = 100;

/** The connected sessions, and the log that they read. */
export class SessionRegistry {
  /** With the number of each session's handshake. */
  readonly #handshakes = new Map<ConnectedSession, number>();
  readonly #unreadLog: LogFrame[] = [];

  get size(): number {
    return this.#handshakes.size;
  }

  has(session: ConnectedSession): boolean {
    return this.#handshakes.has(session);
  }

  /**
   * Adds a session. A tab that has not heard the answer connects again under the same id. Its last handshake counts,
   * whichever arrives first.
   *
   * @returns the session of the same id that it replaces, if any
   * @throws TabserveError `closed` where the tab has made a later handshake
   */
  add(session: ConnectedSession, handshake: number): ConnectedSession | undefined {
    const [replaced, lastHandshake] = [...this.#handshakes].find(([{ sessionId }]) => sessionId === session.sessionId) ?? [];
    if (lastHandshake !== undefined && lastHandshake > handshake) {
      throw new TabserveError('closed', 'The tab has connected to the worker again since.');
    }
    if (replaced !== undefined) this.#handshakes.delete(replaced);
    this.#handshakes.set(session, handshake);
    session.send(this.#unreadLog.splice(0));
    return replaced;
  }

  /** Returns whether it was connected. */
  delete(session: ConnectedSession): boolean {
    return this.#handshakes.delete(session);
  }

  /** Logs to these sessions. Without any session at all, the line is kept for the next one. @default all of them */
  log(level: LogFrame['level'], message: string, sessions: Iterable<ConnectedSession> = this.#handshakes.keys()): void {
    const line: LogFrame = { type: 'log', level, message };
    for (const session of sessions) session.send([line]);
    if (this.size === 0 && this.#unreadLog.length < MAX_UNREAD_LOG_LINES) this.#unreadLog.push(line);
  }
}
