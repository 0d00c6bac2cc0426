import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type Locator, type Page } from 'playwright';
import type { FetchResult } from '../../demo/server/fetch-model.mjs';
import { buildDemo } from '../../demo/server/page.mjs';
import { startDemoServer, type LogEntry } from '../../demo/server/server.mjs';
import { builtOnce } from './builds.ts';
import { findChromium, LIGHT_ARGS } from './chromium.ts';
import { writeGguf } from './gguf-writer.ts';
import { TINY_SHAPES, tinyModelContents } from './tiny-model.ts';
import { CONTROL_TOKENS } from './tiny-tokenizer.ts';

/** A tiny model that every site serves. Its answers end at the token limit only, so that tests say how long they are. */
export const TINY_PATH = '/models/tiny.gguf';

/** Small, and of one format: on a software adapter what takes time is to compile its kernels. */
const SHAPE = { hiddenSize: 64, intermediateSize: 128, numHeads: 2, numKvHeads: 1, headSize: 32 };

/** A babbling model without the row by which it ends an answer: that token's logit is 0, and never the highest. */
export function endlessModel(seed = 1): Uint8Array {
  const { metadata, tensors } = tinyModelContents({ preset: 'babble', type: 'Q8_0', seed, ...SHAPE });
  const end = CONTROL_TOKENS.indexOf('<|im_end|>');
  const endless = tensors.map((tensor) => {
    const rowBytes = tensor.data.length / TINY_SHAPES.babble.vocabSize;
    const data = tensor.data.slice();
    if (tensor.name === 'output.weight') data.fill(0, end * rowBytes, (end + 1) * rowBytes);
    return { ...tensor, data };
  });
  return writeGguf({ metadata, tensors: endless });
}

/** The demo, built as it ships and served on a free port. */
export interface DemoSite {
  readonly url: string;
  /** The server's requests, in order of completion: Playwright does not see a SharedWorker's requests. */
  readonly log: LogEntry[];
  close(): Promise<void>;
}

/** The page as it ships, built once in a run. @returns its folder */
export function demoBuild(): Promise<string> {
  return builtOnce('demo', async (outDir) => {
    const nodeEnv = process.env['NODE_ENV']; // vitest's would bring the libraries' development builds
    process.env['NODE_ENV'] = 'production';
    try {
      await buildDemo({ outDir, offline: false });
    } finally {
      process.env['NODE_ENV'] = nodeEnv;
    }
  });
}

export async function startDemoSite(distDir: string, model: FetchResult): Promise<DemoSite> {
  const modelsDir = mkdtempSync(join(tmpdir(), 'tabserve-models-'));
  writeFileSync(join(modelsDir, 'tiny.gguf'), endlessModel());
  const log: LogEntry[] = [];
  const server = await startDemoServer({ port: 0, modelsDir, distDir, model, onRequest: (entry) => log.push(entry) });
  const close = async (): Promise<void> => {
    await server.close();
    rmSync(modelsDir, { recursive: true, force: true });
  };
  return { url: server.url, log, close };
}

/** `args` instead of the flags that give every machine a GPU. */
export function launchChromium(args: readonly string[] = LIGHT_ARGS): Promise<Browser> {
  const executablePath = findChromium();
  return chromium.launch({ args: [...args], ...(executablePath === undefined ? {} : { executablePath }) });
}

/** A browser with a profile on disk: what it stores is there when it is launched again. */
export function launchProfile(userDataDir: string): Promise<BrowserContext> {
  const executablePath = findChromium();
  const options = { args: LIGHT_ARGS, ...(executablePath === undefined ? {} : { executablePath }) };
  return chromium.launchPersistentContext(userDataDir, options);
}

/** A tab with the demo in it, by its data-testids. */
export class DemoTab {
  readonly page: Page;
  /** The page's own errors and warnings. */
  readonly complaints: string[] = [];

  constructor(page: Page) {
    this.page = page;
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.complaints.push(message.text());
    });
  }

  static async open(context: BrowserContext, url: string): Promise<DemoTab> {
    const tab = new DemoTab(await context.newPage());
    await tab.page.goto(url);
    return tab;
  }

  get(testId: string): Locator {
    return this.page.getByTestId(testId);
  }

  async text(testId: string): Promise<string> {
    return (await this.get(testId).last().innerText()).trim();
  }

  /** Rejects with what the page shows when the model cannot be loaded. */
  async ready(timeout = 120_000): Promise<void> {
    const outcome = this.get('model-status').filter({ hasText: 'ready' }).or(this.get('error')).or(this.get('unsupported'));
    await outcome.first().waitFor({ timeout });
    if (!(await this.text('model-status')).includes('ready')) throw new Error(await this.page.locator('main').innerText());
  }

  /** Sends a prompt; the page then waits for the answer, or has it already. A page behind others draws once a second. */
  async ask(prompt: string): Promise<void> {
    await this.page.bringToFront();
    await this.get('prompt').fill(prompt);
    await this.get('send').click();
  }

  /** Resolves with the latest answer when it has ended. */
  async answered(timeout = 120_000): Promise<string> {
    await this.get('send').waitFor({ timeout });
    return this.text('answer');
  }

  /** How many tokens an answer may have. */
  async limitTokens(count: number): Promise<void> {
    await this.get('max-tokens').fill(String(count));
    await this.get('max-tokens').blur();
  }
}
