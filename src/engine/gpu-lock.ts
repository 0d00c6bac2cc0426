/** Gives back a share of the GPU. */
export type Release = () => void;

interface Waiter {
  readonly grant: () => void;
}

/**
 * The GPU between the engines of a worker, in the two modes of Web Locks. Requests, loads and compilation hold it
 * shared. Measurements hold it exclusively, because other work would change their times, which are stored.
 *
 * Requests have priority: an exclusive task begins when nobody holds the GPU, and requests for a share wait for its end
 * only, not for other exclusive tasks in the queue. Exclusive tasks run in order of arrival.
 */
export class GpuLock {
  #numHolders = 0;
  #numHolds = 0;
  #isExclusive = false;
  readonly #sharing: Waiter[] = [];
  readonly #measuring: Waiter[] = [];

  /** How many hold a share at the moment. */
  get numHolders(): number {
    return this.#numHolders;
  }

  /** How many shares have been granted so far. */
  get numHolds(): number {
    return this.#numHolds;
  }

  /** Takes a share, once no exclusive task is under way. */
  async hold(): Promise<Release> {
    if (this.#isExclusive) await new Promise<void>((grant) => this.#sharing.push({ grant }));
    else this.#share();
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#numHolders--;
      this.#next();
    };
  }

  /** Runs a task that holds a share. */
  async shared<T>(task: () => Promise<T>): Promise<T> {
    const release = await this.hold();
    try {
      return await task();
    } finally {
      release();
    }
  }

  /**
   * Runs a task while nobody else uses the GPU. Its promise has to settle also where its device is lost: all engines wait
   * for it.
   * @param signal gives it up while it waits @throws the signal's reason, and what the task throws
   */
  async exclusive<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    if (this.#isExclusive || this.#numHolders > 0) await this.#turn(signal);
    else this.#isExclusive = true;
    try {
      return await task();
    } finally {
      this.#isExclusive = false;
      this.#next();
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.#measuring.splice(this.#measuring.indexOf(waiter), 1);
        reject(signal?.reason);
      };
      const waiter: Waiter = {
        grant: () => {
          signal?.removeEventListener('abort', giveUp);
          resolve();
        },
      };
      this.#measuring.push(waiter);
      signal?.addEventListener('abort', giveUp, { once: true });
    });
  }

  #share(): void {
    this.#numHolders++;
    this.#numHolds++;
  }

  /** Grants in the turn of the release, so that nobody comes in between. */
  #next(): void {
    for (const { grant } of this.#sharing.splice(0)) {
      this.#share();
      grant();
    }
    if (this.#numHolders > 0) return;
    const next = this.#measuring.shift();
    if (next === undefined) return;
    this.#isExclusive = true;
    next.grant();
  }
}
