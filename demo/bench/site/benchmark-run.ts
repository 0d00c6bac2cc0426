import type { ReactiveController, ReactiveControllerHost } from 'lit';
import type { BenchRow } from '../row.ts';
import type { Omission, PartRows } from '../rows.ts';

/** A part of the suite, as a visitor chooses it. */
export interface PartChoice {
  readonly name: string;
  readonly title: string;
  readonly what: string;
}

export interface PartProgress {
  readonly part: PartChoice;
  readonly state: 'waiting' | 'running' | 'done' | 'failed' | 'stopped';
  /** Milliseconds that it took, or has taken so far. */
  readonly ms: number;
  /** What it says that it is doing, or what it failed with. */
  readonly note: string;
}

/** Something that measures, part by part. Closing it ends whatever it does, at once. */
export interface Suite {
  measure(part: string): Promise<PartRows>;
  close(): void;
}

export interface RunEnvironment {
  /** @param onNote called with what the suite says that it is doing */
  readonly openSuite: (onNote: (note: string) => void) => Promise<Suite>;
  readonly now: () => number;
  /** Whether the page is hidden: browsers slow hidden pages down. */
  readonly isHidden: () => boolean;
}

/**
 * A visitor's run: its parts one after the other, each on its own. Stopping keeps what there is. A run during which the page
 * is hidden ends at once, and nothing of it is kept: its figures would be wrong.
 */
export class BenchmarkRun implements ReactiveController {
  state: 'idle' | 'running' | 'done' | 'stopped' | 'hidden' = 'idle';
  parts: readonly PartProgress[] = [];
  rows: readonly BenchRow[] = [];
  omitted: readonly Omission[] = [];

  readonly #host: ReactiveControllerHost;
  readonly #environment: RunEnvironment;
  #suite: Suite | undefined;
  #stopped: Promise<'stopped'> = new Promise(() => {});
  #tellStopped: () => void = () => {};
  #partStart = 0;
  #ticker: ReturnType<typeof setInterval> | undefined;

  constructor(host: ReactiveControllerHost, environment: RunEnvironment) {
    this.#host = host;
    this.#environment = environment;
    host.addController(this);
  }

  hostDisconnected(): void {
    this.stop();
  }

  /** Ends when all parts have been measured or failed, or the run was stopped or refused. */
  async start(parts: readonly PartChoice[]): Promise<void> {
    if (this.state === 'running') return;
    this.state = 'running';
    this.parts = parts.map((part) => ({ part, state: 'waiting', ms: 0, note: '' }));
    [this.rows, this.omitted] = [[], []];
    this.#stopped = new Promise((resolve) => (this.#tellStopped = () => resolve('stopped')));
    this.#ticker = setInterval(() => this.#tick(), 500);
    this.#checkSeen();
    for (const { name } of parts) {
      if (this.#isOver || (await this.#runPart(name)) === 'stopped') break;
    }
    this.#closeSuite();
    clearInterval(this.#ticker);
    if (this.state === 'running') this.state = 'done';
    this.#host.requestUpdate();
  }

  /** Ends the run at once; what was measured stays. */
  stop(): void {
    if (this.state === 'running') this.#end('stopped');
  }

  /** The page was hidden: ends the run at once, and keeps nothing. */
  refuse(): void {
    if (this.state !== 'running') return;
    [this.rows, this.omitted] = [[], []];
    this.#end('hidden');
  }

  get #isOver(): boolean {
    return this.state !== 'running';
  }

  #checkSeen(): void {
    if (this.#environment.isHidden()) this.refuse();
  }

  #end(state: 'stopped' | 'hidden'): void {
    this.state = state;
    this.#tellStopped();
    this.#closeSuite();
  }

  async #runPart(name: string): Promise<'stopped' | 'ended'> {
    this.#partStart = this.#environment.now();
    this.#update(name, { state: 'running' });
    try {
      const result = await Promise.race([this.#measure(name), this.#stopped]);
      this.#checkSeen();
      if (result === 'stopped' || this.#isOver) {
        this.#update(name, { state: 'stopped', note: '' });
        return 'stopped';
      }
      this.rows = [...this.rows, ...result.rows];
      this.omitted = [...this.omitted, ...result.omitted];
      this.#update(name, { state: 'done', note: '' });
    } catch (error) {
      this.#update(name, { state: 'failed', note: error instanceof Error ? error.message : String(error) });
      this.#closeSuite(); // the next part gets one that is whole
    }
    return 'ended';
  }

  async #measure(name: string): Promise<PartRows> {
    const suite = this.#suite ?? (await this.#environment.openSuite((note) => this.#say(note)));
    if (this.state !== 'running') {
      suite.close(); // stopped meanwhile
      return { rows: [], omitted: [] };
    }
    this.#suite = suite;
    return suite.measure(name);
  }

  #say(note: string): void {
    const running = this.parts.find(({ state }) => state === 'running');
    if (running !== undefined) this.#update(running.part.name, { note });
  }

  #tick(): void {
    const running = this.parts.find(({ state }) => state === 'running');
    if (running !== undefined) this.#update(running.part.name, {});
  }

  #update(name: string, change: Partial<PartProgress>): void {
    const ms = this.#environment.now() - this.#partStart;
    this.parts = this.parts.map((each) => (each.part.name === name ? { ...each, ms, ...change } : each));
    this.#host.requestUpdate();
  }

  #closeSuite(): void {
    this.#suite?.close();
    this.#suite = undefined;
  }
}
