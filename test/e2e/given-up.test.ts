import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Browser, BrowserContext, Page } from 'playwright';
import { endlessModel, launchChromium } from '../support/demo-site.ts';
import { type StepCommand, type StepReport, STEPS_CHANNEL } from '../support/given-up/channel.ts';
import { PackageTab, startPackageSite, type PackageSite } from '../support/package-site.ts';
import { createRandom } from '../support/random.ts';
import { ROOT } from '../unit/structure/source-graph.ts';

// Real tabs, a real GPU device, the real worker but for its kernels. A load is given up while one answer of its browser's
// is held back: the one that the seed says. `TABSERVE_GIVEN_UP=all` tries every answer, with the package's own worker and
// its kernels, which takes an hour; `TABSERVE_GIVEN_UP=20`, the first 20 of them in the seed's order. `TABSERVE_GIVEN_UP_SEED`
// tries others.

const sweep = process.env['TABSERVE_GIVEN_UP'];
const seed = Number(process.env['TABSERVE_GIVEN_UP_SEED'] ?? 1);
const random = createRandom(seed);
const worker = `${ROOT}/test/support/given-up/${sweep === undefined ? 'light' : 'real'}-worker.ts`;

let site: PackageSite;
let browser: Browser;
let numModels = 0;

beforeAll(async () => {
  site = await startPackageSite(1, worker);
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
  await site?.close();
});

/** Holds back answers of the workers' browser. */
class Steps {
  readonly #page: Page;

  private constructor(page: Page) {
    this.#page = page;
  }

  /** @param page of the same origin, which stays */
  static async listen(page: Page): Promise<Steps> {
    await page.evaluate((name) => {
      const reports: unknown[] = [];
      const channel = new BroadcastChannel(name);
      channel.addEventListener('message', ({ data }) => reports.push(data));
      Object.assign(globalThis, { steps: { channel, reports } });
    }, STEPS_CHANNEL);
    return new Steps(page);
  }

  async #send(command: StepCommand): Promise<void> {
    await this.#page.evaluate(`steps.reports.length = 0; steps.channel.postMessage(${JSON.stringify(command)})`);
  }

  async #report(type: StepReport['type']): Promise<StepReport> {
    const find = `steps.reports.find((report) => report.type === '${type}')`;
    return (await this.#page.waitForFunction(find, null, { polling: 10, timeout: 60_000 })).jsonValue() as Promise<StepReport>;
  }

  /** Lets a load go by, and counts what it waits for. */
  async count(load: () => Promise<unknown>): Promise<number> {
    await this.#send({ type: 'arm', hold: Infinity });
    await load();
    await this.#send({ type: 'release' });
    const report = await this.#report('counted');
    return report.type === 'counted' ? report.steps : NaN;
  }

  /** Holds an answer back; resolves to what it is of when it has come. */
  async hold(step: number): Promise<() => Promise<string>> {
    await this.#send({ type: 'arm', hold: step });
    return async () => {
      const report = await this.#report('held');
      return report.type === 'held' ? report.what : '';
    };
  }

  release(): Promise<void> {
    return this.#send({ type: 'release' });
  }
}

const addModel = (): string => site.addModel(`m${numModels++}.gguf`, endlessModel());

/** An answer of a few tokens, in any tab. */
async function answers(tab: PackageTab): Promise<void> {
  await tab.ask('a', 'Hi', { max_tokens: 3 });
  expect(await tab.answered('a')).not.toBe('');
}

describe.each(['shared-worker', 'elected', 'elected-broadcast'])('the engine in: %s', (ownership) => {
  let context: BrowserContext;
  /** The tab whose worker has the engine where one is elected. */
  let owner: PackageTab;
  let steps: Steps;
  let numSteps: number;

  const open = async (): Promise<PackageTab> => PackageTab.open(context, site);
  const load = (tab: PackageTab, model: string): Promise<unknown> => tab.load({ model, ownership, tuning: 'off' });

  beforeAll(async () => {
    context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`${site.origin}/1.html`);
    steps = await Steps.listen(page);
    await becomeOwner();
    const tab = await open();
    numSteps = await steps.count(() => load(tab, addModel()));
    await tab.page.close();
    expect(numSteps).toBeGreaterThan(10);
  });

  afterAll(() => context?.close());

  async function becomeOwner(): Promise<void> {
    owner = await open();
    await load(owner, addModel());
  }

  const WAYS = {
    abort: async (tab: PackageTab, model: string, loading: Promise<unknown>) => {
      await tab.call('abort()');
      expect(await loading).toMatch(/aborted|loaded/);
      await answers(owner);
      const next = await open();
      return { next, model };
    },
    close: async (tab: PackageTab, model: string) => {
      await tab.page.close();
      await answers(owner);
      return { next: await open(), model };
    },
    reload: async (tab: PackageTab, model: string) => {
      await tab.page.reload();
      await tab.page.waitForFunction('globalThis.tab !== undefined');
      return { next: tab, model };
    },
    'owner closed': async (tab: PackageTab, model: string, loading: Promise<unknown>) => {
      await owner.page.close();
      await steps.release();
      expect(await loading).toBe('loaded');
      await answers(tab);
      return { next: await open(), model };
    },
  } as const;

  /** Gives a load up while an answer is held back; then a tab loads the same, and is answered. */
  async function giveUp(way: keyof typeof WAYS, step: number): Promise<void> {
    const model = addModel();
    const tab = await open();
    const held = await steps.hold(step);
    const loading = load(tab, model).then(() => 'loaded', (error: Error) => error.message);
    const what = await Promise.race([held(), loading]);
    console.log(`${ownership}, ${way}: given up at answer ${step} of ${numSteps} (${what}), seed ${seed}`);
    const { next } = await WAYS[way](tab, model, loading);
    await steps.release();
    await load(next, model);
    await answers(next);
    if (way === 'owner closed') await becomeOwner();
    for (const { page } of [tab, next]) if (!page.isClosed()) await page.close();
  }

  test.each(Object.keys(WAYS) as (keyof typeof WAYS)[])('a load is given up: %s', async (way) => {
    const points = Array.from({ length: numSteps }, (_, i) => i + 1).map((step) => ({ step, order: random.uniform() }));
    const order = points.toSorted((a, b) => a.order - b.order);
    const numPoints = sweep === undefined ? 1 : sweep === 'all' ? numSteps : Number(sweep);
    for (const { step } of order.slice(0, numPoints)) await giveUp(way, step);
  }, 3_600_000);
});
