import type { Frame } from '../core/frames.ts';

/** What the host knows of a session. */
export interface ConnectedSession {
  readonly sessionId: string;
  /** Never waits, and does not fail when the tab is gone. */
  send(frames: readonly Frame[]): void;
}
