import type { Scheduler } from 'fast-check';
import { vi } from 'vitest';
import { createRandom } from '../random.ts';

/** Virtual milliseconds after which what is waited for will not come: longer than any timeout of the product's. */
const HANGS_AFTER_MS = 300_000;
/** Of the steps, how many let time pass although something could happen: a slow network, a busy machine. */
const SLOW_STEPS = 0.02;
/** Looking at the clock takes time: so long work is done in turns here as well. */
const LOOK_MS = 3;

const realSetImmediate = setImmediate;

/**
 * Everything that a browser does by itself (messages, locks, timers, storage, network, the GPU), one thing after another,
 * in an order that fast-check's scheduler chooses. Time is virtual: it passes when nothing else can happen.
 */
export class World {
  /** Gates passed so far. */
  passed = 0;
  /** Called after everything that happens. */
  onStep: () => void = () => {};
  readonly #holds = new Map<RegExp, Promise<void>>();
  readonly #planned: { readonly at: number; readonly action: () => void }[] = [];
  readonly #scheduler: Scheduler;
  readonly #random: ReturnType<typeof createRandom>;

  constructor(scheduler: Scheduler, seed: number) {
    this.#scheduler = scheduler;
    this.#random = createRandom(seed);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance', 'Date'] });
    const now = performance.now.bind(performance);
    let asked = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => now() + asked++ * LOOK_MS);
  }

  /** Milliseconds that everything takes. */
  slownessMs = 0;

  /** Resolves when it is this one's turn. */
  async gate(label: string): Promise<void> {
    await this.#scheduler.schedule(Promise.resolve(label), label);
    if (this.slownessMs > 0) await new Promise((resolve) => setTimeout(resolve, this.slownessMs));
    for (const [pattern, released] of this.#holds) if (pattern.test(label)) await released;
  }

  /** Nothing with such a label happens until the function that it returns is called. */
  hold(pattern: RegExp): () => void {
    let release = (): void => {};
    this.#holds.set(pattern, new Promise((resolve) => (release = resolve)));
    return () => {
      this.#holds.delete(pattern);
      release();
    };
  }

  /** Lets things happen until the promise settles, and returns what it settles to. @throws Error where it hangs */
  async settle<T>(promise: Promise<T>, what: string): Promise<T> {
    let isSettled = false;
    const note = (): void => void (isSettled = true);
    promise.then(note, note);
    await this.until(() => isSettled, what);
    return promise;
  }

  /** Lets things happen until a condition holds. @throws Error where it never does */
  async until(condition: () => boolean, what: string): Promise<void> {
    const limit = Date.now() + HANGS_AFTER_MS;
    for (;;) {
      await microtasks();
      this.onStep();
      if (condition()) return;
      if (!(await this.step()) || Date.now() > limit) throw new Error(`${what}: hangs`);
    }
  }

  /** Lets `count` gates pass, or as many as there are without any time passing. */
  async pass(count: number): Promise<void> {
    for (const end = this.passed + count; this.passed < end; ) {
      await microtasks();
      this.onStep();
      if (this.#scheduler.count() === 0) return;
      await this.step();
    }
    await microtasks();
  }

  /** Runs an action `count` gates from now. */
  after(count: number, action: () => void): void {
    this.#planned.push({ at: this.passed + count, action });
  }

  /** Lets one thing happen. False where nothing will ever happen again. */
  async step(): Promise<boolean> {
    const isSlow = this.#random.uniform() < SLOW_STEPS;
    if (this.#scheduler.count() > 0 && !isSlow) {
      await this.#scheduler.waitNext(1);
      this.passed++;
      for (const { action } of this.#planned.filter(({ at }) => at === this.passed)) action();
      return true;
    }
    if (vi.getTimerCount() === 0) return this.#scheduler.count() > 0;
    vi.advanceTimersToNextTimer();
    return true;
  }

  end(): void {
    vi.clearAllTimers();
    vi.useRealTimers();
  }
}

/** All that follows from what has happened, without anything else happening. */
function microtasks(): Promise<void> {
  return new Promise((resolve) => realSetImmediate(resolve));
}
