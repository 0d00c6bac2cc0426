import { getEventListeners } from 'node:events';
import { expect, vi } from 'vitest';
import type { Client } from '../../../src/client/client.ts';
import type { ChatCompletionStream } from '../../../src/client/completion-stream.ts';
import type { ClientOptions } from '../../../src/client/create-client.ts';
import type { EngineStatus } from '../../../src/core/status.ts';
import { GPU_LOCK } from '../../../src/worker/gpu-lease.ts';
import type { Random } from '../../support/random.ts';
import { MODELS, type ModelName, type SimulatedOrigin, type SimulatedTab } from '../../support/simulation/origin.ts';
import type { World } from '../../support/simulation/world.ts';
import { count, type Seen } from '../scheduler/scenario.ts';
import { outcome } from './scenario.ts';

/** Within one plan, and in several. */
export const PROMPTS = ['Hi', `Tell me ${'more and '.repeat(5)}more`] as const;
export type Prompt = (typeof PROMPTS)[number];
export const MAX_TOKENS = 24;
const EVENTS = 18;
/** More things than happen to a load. */
const LONGEST_PAUSE = 40;
/** More things than happen while a fault lasts. */
const LONGEST_WHILE = 300;
/** In virtual time. */
const LONGEST_MS = 60_000;
/** Losses in a row after which requests may be taken for their cause. */
const MANY_LOSSES = 4;

export const bodyOf = (content: Prompt, tokens: number) =>
  ({ messages: [{ role: 'user', content }], max_tokens: tokens, seed: 3 }) as const;

interface Tab {
  readonly tab: SimulatedTab;
  readonly loading: Promise<Client>;
  /** Why its requests may end without an answer. */
  isClosed: boolean;
}

/** What has been seen, over all lives. */
export interface Record {
  readonly seen: Seen;
  /** By prompt, undisturbed. */
  readonly answers: ReadonlyMap<Prompt, string>;
  tokens: number;
}

/**
 * Tabs of one origin that load, ask, stream, abort, switch models, close and delete, under every fault that may befall
 * them. What it holds to: no token is lost, doubled or changed; every request ends, with its answer or with an error that
 * something which has happened explains; a client that was not closed answers afterwards; and then the origin is as idle as
 * one to which nothing has happened.
 */
export class Life {
  readonly #world: World;
  readonly #origin: SimulatedOrigin;
  readonly #random: Random;
  readonly #record: Record;
  readonly #tabs: Tab[] = [];
  /** Closed by their users: nobody hears what becomes of what they asked. */
  readonly #gone = new Set<SimulatedTab>();
  /** The page's own, which must not be listened to for longer than needed. */
  readonly #signals: { readonly tab: Tab; readonly signal: AbortSignal }[] = [];
  /** What must settle, with the tab that hears of it, and the errors that it may settle to. */
  readonly #pending: {
    readonly what: string;
    readonly tab: Tab;
    readonly settled: Promise<unknown>;
    readonly allowed: () => readonly string[];
  }[] = [];
  /** What has happened to the platform. */
  readonly #happened = new Set<string>();
  #losses = 0;
  /** The texts so far of the streams under way. */
  readonly #streamed = new Set<readonly string[]>();

  constructor(world: World, origin: SimulatedOrigin, random: Random, record: Record) {
    this.#world = world;
    this.#origin = origin;
    this.#random = random;
    this.#record = record;
    vi.stubGlobal('reportError', () => this.#saw('listeners that threw'));
  }

  async run(): Promise<void> {
    const isCalm = this.#random.below(2) === 0;
    if (isCalm) for (const model of MODELS) this.#open({ model }); // not all of which fit
    else this.#open();
    if (isCalm) await this.#world.settle(Promise.all(this.#tabs.map(({ loading }) => outcome(loading))), 'the first loads');
    for (let i = 0; i < EVENTS; i++) {
      await this.#world.pass(this.#random.below(LONGEST_PAUSE));
      this.#happen();
    }
    for (const { what, tab, settled, allowed } of this.#pending) {
      if (this.#gone.has(tab.tab)) continue;
      const how = String(await this.#world.settle(settled, what));
      this.#saw(`${what}: ${how}`);
      expect(['done', ...allowed()], `${what} with ${[...this.#happened].join(', ')}`).toContain(how);
    }
    this.#calm();
    for (const tab of this.#tabs) await this.#answersStill(tab);
    await this.#leave();
    this.#saw('unloaded', this.#origin.log.filter((line) => line.includes('is off the GPU to make room')).length);
  }

  #happen(): void {
    const { gpu, server } = this.#origin;
    const events: readonly (readonly [weight: number, event: () => void])[] = [
      [4, () => this.#open()],
      [14, () => this.#ask()],
      [2, () => this.#close()],
      [2, () => this.#switch()],
      [2, () => this.#lose()],
      [2, () => this.#kill()],
      [1, () => this.#delete()],
      [1, () => this.#forAWhile('no adapter', (isSo) => (gpu.hasAdapter = !isSo))],
      [1, () => this.#forAWhile('GPU memory refused', (isSo) => (gpu.isFull = isSo))],
      [1, () => this.#forAWhile('offline', (isSo) => (server.isOffline = isSo))],
    ];
    let at = this.#random.below(events.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, event] of events) {
      if (at >= 0 && at < weight) event();
      at -= weight;
    }
  }

  #open({ tab = this.#openTab(), model = this.#pick(MODELS) }: { readonly tab?: SimulatedTab; readonly model?: ModelName } = {}): void {
    const cancel = new AbortController();
    const loading = tab.createClient(model, { signal: cancel.signal, ...this.#listeners() });
    const opened: Tab = { tab, loading, isClosed: false };
    this.#tabs.push(opened);
    this.#signals.push({ tab: opened, signal: cancel.signal });
    const isAborted = this.#random.below(4) === 0;
    if (isAborted) this.#world.after(this.#random.below(2 * LONGEST_PAUSE), () => cancel.abort());
    this.#watch('load', opened, loading, () => ['model_busy', ...(isAborted ? ['aborted'] : []), ...this.#explained()]);
  }

  #openTab(): SimulatedTab {
    return this.#origin.openTab({ release: this.#random.below(6) === 0 ? 2 : 1, settings: this.#settings() });
  }

  /** Of a tab that keeps prefixes, forbids it, or says nothing of it. */
  #settings() {
    const choice = this.#random.below(4);
    if (choice > 1) return {};
    this.#saw(`persistPrefixCache: ${String(choice === 0)}`);
    return { persistPrefixCache: choice === 0 };
  }

  /** Of a page's that has a bug, at times. */
  #listeners(): Pick<ClientOptions, 'onStatus' | 'onProgress'> & Partial<Pick<ClientOptions, 'onLog'>> {
    const isBroken = this.#random.below(4) === 0;
    const listen = (): void => {
      if (isBroken) throw this.#random.below(2) === 0 ? new Error('a bug in the page') : Object.create(null);
    };
    const onStatus = (status: EngineStatus): void => {
      if (status.state === 'recovering') this.#saw(`told of: ${status.cause.code}`);
      listen();
    };
    return { onStatus, onProgress: listen, ...(isBroken ? { onLog: listen } : {}) };
  }

  #ask(): void {
    const tab = this.#tabs[this.#random.below(this.#tabs.length)];
    if (tab === undefined) return;
    const cancel = new AbortController();
    this.#signals.push({ tab, signal: cancel.signal });
    const [isAborted, hasDeadline] = [this.#random.below(3) === 0, this.#random.below(6) === 0];
    const abortAfter = 1 + this.#random.below(LONGEST_PAUSE);
    const timeout = 1 + this.#random.below(this.#random.below(2) === 0 ? 50 : 5000);
    const [prompt, tokens, n] = [this.#pick(PROMPTS), 1 + this.#random.below(MAX_TOKENS), 1 + this.#random.below(3)];
    const body = { ...bodyOf(prompt, tokens), n, ...(hasDeadline ? { tabserve: { timeout_ms: timeout } } : {}) };
    // In the midst of an answer, as its stream shows.
    const loss = this.#pick([() => this.#lose(), () => this.#kill(), undefined, undefined, undefined]);
    const isStreamed = loss !== undefined || this.#random.below(3) === 0;
    const lossAt = 1 + this.#random.below(tokens);
    const answered = tab.loading.catch(() => undefined).then(async (client) => {
      if (client === undefined) return; // there was none to ask
      if (isAborted) this.#world.after(abortAfter, () => cancel.abort());
      const { signal } = cancel;
      if (isStreamed) {
        const stream = await client.chat.completions.create({ ...body, stream: true }, { signal });
        await this.#read(stream, { prompt, tokens, n }, (numRead) => numRead === lossAt && loss?.());
      } else {
        const { choices } = await client.chat.completions.create(body, { signal });
        for (const { message } of choices) this.#check(prompt, message.content, tokens);
      }
    });
    this.#watch(n === 1 ? 'answer' : 'choices', tab, answered, () => [
      ...(isAborted ? ['aborted'] : []),
      ...(hasDeadline ? ['deadline_exceeded'] : []),
      ...(tab.isClosed ? ['closed'] : []),
      ...(this.#losses >= MANY_LOSSES ? ['device_lost'] : []),
      ...(this.#happened.has('GPU memory refused') ? ['out_of_memory'] : []),
    ]);
  }

  /** Reads a stream; one that ends early has had the beginning of its answer. */
  async #read(
    stream: ChatCompletionStream,
    { prompt, tokens, n }: { readonly prompt: Prompt; readonly tokens: number; readonly n: number },
    onRead: (numRead: number) => void,
  ): Promise<void> {
    const texts = Array.from({ length: n }, () => '');
    let isWhole = false;
    this.#streamed.add(texts);
    try {
      for await (const { choices } of stream) {
        for (const { index, delta } of choices) texts[index] += delta.content ?? '';
        onRead(texts.join('').length);
      }
      isWhole = !stream.aborted;
    } finally {
      this.#streamed.delete(texts);
      for (const text of texts) this.#check(prompt, text, isWhole ? tokens : undefined);
    }
  }

  /** @param tokens that it has; undefined where it may have been ended */
  #check(prompt: Prompt, text: string, tokens: number | undefined): void {
    const whole = this.#record.answers.get(prompt) ?? '';
    expect(text).toBe(whole.slice(0, tokens ?? text.length));
    this.#record.tokens += text.length;
  }

  #close(): void {
    const [closed] = this.#tabs.splice(this.#random.below(this.#tabs.length), 1);
    if (closed === undefined) return;
    if (this.#random.below(2) === 0) return this.#closeClient(closed);
    closed.tab.close();
    this.#gone.add(closed.tab);
    this.#saw('tab closed');
  }

  #closeClient(closed: Tab): void {
    closed.isClosed = true;
    const closing = closed.loading.then((client) => client.close());
    this.#watch('client closed', closed, closing.catch(() => {}), () => []); // one that failed to load needs no closing
  }

  /** A tab takes another model in place of the one that it has. */
  #switch(): void {
    const [old] = this.#tabs.splice(this.#random.below(this.#tabs.length), 1);
    if (old === undefined) return;
    this.#closeClient(old);
    this.#open({ tab: old.tab });
    this.#saw('model switched');
  }

  #lose(): void {
    this.#origin.gpu.crash();
    this.#lost('GPU');
  }

  #kill(): void {
    const { workers } = this.#origin;
    if (workers.length === 0) return;
    this.#pick(workers).die();
    this.#lost('worker');
  }

  #lost(what: 'GPU' | 'worker'): void {
    this.#losses++;
    this.#saw(`${what}s lost`);
    this.#happened.add(`${what} lost`);
    const numCut = [...this.#streamed].flat().filter((text) => text !== '').length;
    this.#saw('answers under way at a loss', numCut);
  }

  #delete(): void {
    void this.#origin.deleteModel(this.#pick(MODELS));
    this.#saw('deleted');
  }

  #forAWhile(what: string, set: (isSo: boolean) => void): void {
    set(true);
    const end = (): void => set(false);
    this.#world.after(1 + this.#random.below(LONGEST_WHILE), end);
    setTimeout(end, this.#random.below(LONGEST_MS)); // little happens where nothing works
    this.#saw(what);
    this.#happened.add(what);
  }

  #calm(): void {
    this.#origin.gpu.hasAdapter = true;
    this.#origin.gpu.isFull = false;
    this.#origin.server.isOffline = false;
  }

  /** What a first load may fail with. */
  #explained(): readonly string[] {
    const causes = [
      ['GPU lost', 'device_lost'], ['worker lost', 'device_lost'], ['no adapter', 'webgpu_unavailable'],
      ['GPU memory refused', 'out_of_memory'], ['offline', 'download_failed'],
    ] as const;
    return causes.flatMap(([what, code]) => (this.#happened.has(what) ? [code] : []));
  }

  async #answersStill({ loading }: Tab): Promise<void> {
    const client = await this.#world.settle(loading.catch(() => undefined), 'a load that had settled');
    if (client === undefined) return;
    const [prompt] = PROMPTS;
    const answer = client.chat.completions.create(bodyOf(prompt, MAX_TOKENS));
    const { choices } = await this.#world.settle(answer, 'an answer after all that');
    this.#check(prompt, choices[0]?.message.content ?? '', MAX_TOKENS);
    this.#saw('clients that went on');
    const idle = { requestsRunning: 0, requestsWaiting: 0, kvBlocksUsed: 0, state: expect.stringMatching(/^(ready|parked)$/) };
    expect(await this.#world.settle(client.metrics(), 'its metrics')).toMatchObject(idle);
  }

  /** All tabs go; what is left is what an origin has to which nothing has happened. */
  async #leave(): Promise<void> {
    const { locks, gpu, workers } = this.#origin;
    for (const { tab, loading } of this.#tabs) {
      if (this.#random.below(2) === 0) await this.#world.settle(outcome(loading.then((client) => client.close())), 'its end');
      tab.close();
    }
    await this.#world.until(() => workers.every(({ manager }) => manager.metrics().sessions === 0), 'the end of all sessions');
    const live = workers.flatMap(({ manager }) => manager.metrics().models).filter(({ state }) => state === 'ready');
    await this.#world.until(() => gpu.numDevices === live.length, 'the end of devices that nobody has');
    const held = [...workers.map(({ lockName }) => lockName), ...(live.length > 0 ? [GPU_LOCK] : [])];
    const isSettled = (): boolean => locks.held.length <= held.length && locks.wanted.length === 0;
    await this.#world.until(isSettled, 'the release of locks');
    expect(locks.held.toSorted()).toEqual(held.toSorted());
    const heard = this.#signals.filter(({ tab }) => !this.#gone.has(tab.tab));
    expect(heard.flatMap(({ signal }) => getEventListeners(signal, 'abort'))).toEqual([]);
  }

  #watch(what: string, tab: Tab, promise: Promise<unknown>, allowed: () => readonly string[]): void {
    this.#pending.push({ what, tab, settled: outcome(promise), allowed });
  }

  #saw(what: string, times = 1): void {
    count(this.#record.seen, what, times);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)] as T;
  }
}
