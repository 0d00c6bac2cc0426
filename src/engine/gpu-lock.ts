/** Gives back a share of the GPU. */
export type Release = () => void;

interface Waiter {
  readonly grant: () => void;
}

/**
 * The GPU of a worker's engines, with the two modes of Web Locks. Steps, loads and compiling hold it shared. Measuring holds
 * it exclusively: other work would count in its times, which are stored.
 *
 * Shares come first. An exclusive task begins when nobody holds the GPU. A share asked for meanwhile waits for the end of
 * that task, but not for the exclusive tasks in the queue behind it. Exclusive tasks run in the order they came in.
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
   * Runs a task while nobody else uses the GPU. All engines wait for its promise, so it has to settle even if its device is
   * lost.
   * @param signal cancels it while it waits @throws the signal's reason, and the task's error
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

  /** Grants synchronously with the release, so that nobody comes in between. */
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
