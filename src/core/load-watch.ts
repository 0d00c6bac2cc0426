import type { StallCause, StalledStatus } from './status.ts';

/** Something that a load may wait for. */
export interface LoadWait {
  readonly cause: StallCause;
  /** The object of "waits for": `bytes of https://...: the server sends nothing`. */
  readonly what: string;
}

/** Begins a wait. The returned function ends it, and says whether it was successful. */
export type BeginWait = (wait: LoadWait) => (hasCome: boolean) => void;

/** A load without progress is reported after this time, and again each time that it has doubled. */
export const STALLED_AFTER_MS = 10_000;

const OWN_WORK: LoadWait = { cause: 'processor', what: 'its own work: this device is slow, or busy with something else' };

/** Records the waits of a load, so that it can report the current one when there is no progress. */
export class LoadWatch {
  readonly #clock: () => number;
  readonly #onGoesOn: () => void;
  /** Those under way, the last begun last: it is part of those before it. */
  readonly #waits = new Set<LoadWait>();
  /** Of the last progress; undefined while nothing loads. */
  #since: number | undefined;
  #tellAfterMs = STALLED_AFTER_MS;

  /**
   * @param clock milliseconds, from any origin
   * @param onGoesOn called on progress after a report that there was none
   */
  constructor(clock: () => number, onGoesOn: () => void) {
    this.#clock = clock;
    this.#onGoesOn = onGoesOn;
  }

  /** Milliseconds since the last progress; 0 while nothing loads. */
  get stalledMs(): number {
    return this.#since === undefined ? 0 : this.#clock() - this.#since;
  }

  begin(): void {
    this.#waits.clear();
    this.#since = this.#clock();
    this.#tellAfterMs = STALLED_AFTER_MS;
  }

  end(): void {
    this.#waits.clear();
    this.#since = undefined;
  }

  /** The load has got on. */
  progressed(): void {
    if (this.#since === undefined) return;
    const wasTold = this.#tellAfterMs > STALLED_AFTER_MS;
    this.#since = this.#clock();
    this.#tellAfterMs = STALLED_AFTER_MS;
    if (wasTold) this.#onGoesOn();
  }

  readonly beginWait: BeginWait = ({ cause, what }) => {
    const wait = { cause, what }; // the same may be waited for twice at a time
    this.#waits.add(wait);
    return (hasCome) => {
      if (this.#waits.delete(wait) && hasCome) this.progressed();
    };
  };

  /** The status to report now, if any. Called about once a second. */
  look(): StalledStatus | undefined {
    const { stalledMs } = this;
    if (stalledMs < this.#tellAfterMs) return undefined;
    this.#tellAfterMs = 2 * stalledMs;
    const { cause, what } = [...this.#waits].at(-1) ?? OWN_WORK;
    const message = `The load has made no progress for ${Math.floor(stalledMs / 1000)} s. It waits for ${what}.`;
    return { state: 'stalled', waitsFor: cause, message, stalledMs };
  }
}

/** A task during which something is waited for. */
export async function waitFor<Result>(beginWait: BeginWait, wait: LoadWait, task: Promise<Result>): Promise<Result> {
  const end = beginWait(wait);
  try {
    const result = await task;
    end(true);
    return result;
  } catch (error) {
    end(false);
    throw error;
  }
}
