import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { BrowserContext, Page } from 'playwright';
import { build } from 'vite';
import type { ChatMessage } from '../../src/core/protocol.ts';
import { sendFile } from '../../demo/server/send-file.mjs';
import { builtOnce } from './builds.ts';
import { ROOT } from '../unit/structure/source-graph.ts';

/** The package as it is published, in one or several releases, and pages that use it with nothing else. */
export interface PackageSite {
  readonly origin: string;
  /** Paths asked for, in order: Playwright does not see a worker's requests. */
  readonly log: string[];
  /** Puts a model beside the pages; returns its path. */
  addModel(name: string, content: Uint8Array | string): string;
  close(): Promise<void>;
}

/**
 * Serves releases, each with its number as its build id: `/1.html` uses release 1, and so on.
 *
 * @param worker the source of another worker in the place of the package's
 */
export async function startPackageSite(releases = 1, worker?: string): Promise<PackageSite> {
  const root = mkdtempSync(join(tmpdir(), 'tabserve-site-'));
  copyFileSync(join(ROOT, 'node_modules/comlink/dist/esm/comlink.mjs'), join(root, 'comlink.js'));
  for (let release = 1; release <= releases; release++) {
    symlinkSync(await buildRelease(release, worker), join(root, String(release)));
    writeFileSync(join(root, `${release}.html`), page(release));
  }
  const log: string[] = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '', 'http://x').pathname;
    log.push(path);
    sendFile(request, response, root, path);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    log,
    addModel: (name, content) => {
      if (typeof content === 'string') symlinkSync(content, join(root, basename(content)));
      else writeFileSync(join(root, name), content);
      return `/${typeof content === 'string' ? basename(content) : name}`;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** Builds a release once in a run. @returns its folder */
function buildRelease(release: number, worker: string | undefined): Promise<string> {
  const lib = worker === undefined ? {} : { lib: { formats: ['es'] as ['es'], entry: { 'engine-worker': worker } } };
  const define = { __TABSERVE_BUILD_ID__: JSON.stringify(`release-${release}`) };
  const name = `release-${release}${worker === undefined ? '' : `-${basename(dirname(worker))}-${basename(worker)}`}`;
  return builtOnce(name, async (outDir) => {
    for (const mode of ['production', 'worker']) {
      const own = mode === 'worker' ? lib : {};
      await build({ root: ROOT, mode, logLevel: 'silent', define, build: { outDir, emptyOutDir: false, ...own } });
    }
  });
}

/** The interface of a tab's script to its test, in `globalThis.tab`. */
function page(release: number): string {
  return `<!doctype html><title>release ${release}</title>
<script type="importmap">{ "imports": { "comlink": "/comlink.js", "tabserve": "/${release}/index.js", "tabserve/testing": "/${release}/testing.js" } }</script>
<script type="module">
import { createClient } from 'tabserve';
import { injectFault } from 'tabserve/testing';
const answers = new Map();
let client;
let cancel;
globalThis.tab = {
  statuses: [], stages: [], numTokens: 0,
  async open(options) {
    const onStatus = (status) => tab.statuses.push(status);
    const onProgress = ({ stage }) => tab.stages.push(stage);
    cancel = new AbortController();
    client = await createClient({ onStatus, onProgress, onLog: () => {}, signal: cancel.signal, ...options });
    return client.model;
  },
  abort: () => cancel.abort(),
  ask(name, body) {
    const answer = { text: '', tokens: 0, error: undefined, isDone: false, stop: new AbortController() };
    answers.set(name, answer);
    (async () => {
      try {
        const stream = await client.chat.completions.create({ temperature: 0, ...body, stream: true }, { signal: answer.stop.signal });
        for await (const { choices } of stream) {
          answer.text += choices[0]?.delta.content ?? '';
          answer.tokens++;
          tab.numTokens++;
        }
        answer.usage = stream.usage;
      } catch (error) {
        answer.error = error.code + ': ' + error.message;
      }
      answer.isDone = true;
    })();
  },
  answer(name) {
    const { stop, ...answer } = answers.get(name);
    return answer;
  },
  stop: (name) => answers.get(name)?.stop.abort(),
  /** The answers that have ended, which are then forgotten. */
  takeEnded() {
    const ended = [...answers].filter(([, { isDone }]) => isDone);
    for (const [name] of ended) answers.delete(name);
    return ended.map(([name, { text, error }]) => ({ name, text, error }));
  },
  metrics: () => client.metrics(),
  injectFault: (fault) => injectFault(client, fault),
  close: () => client.close(),
};
</script>`;
}

export interface PageAnswer {
  readonly text: string;
  readonly tokens: number;
  readonly error: string | undefined;
  readonly isDone: boolean;
  readonly usage?: { readonly prompt_tokens_details: { readonly cached_tokens: number }; readonly prompt_tokens: number };
}

/** A tab with such a page in it. */
export class PackageTab {
  readonly page: Page;

  private constructor(page: Page) {
    this.page = page;
  }

  static async open(context: BrowserContext, site: PackageSite, release = 1): Promise<PackageTab> {
    const tab = new PackageTab(await context.newPage());
    await tab.page.goto(`${site.origin}/${release}.html`);
    await tab.page.waitForFunction('globalThis.tab !== undefined');
    return tab;
  }

  /** Evaluates an expression on `tab`. */
  call<Result>(expression: string): Promise<Result> {
    return this.page.evaluate<Result>(`tab.${expression}`);
  }

  load(options: Readonly<Record<string, unknown>>): Promise<unknown> {
    return this.call(`open(${JSON.stringify(options)})`);
  }

  async ask(
    name: string,
    prompt: string | readonly ChatMessage[],
    body: Readonly<Record<string, unknown>> = {},
  ): Promise<void> {
    const messages = typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : prompt;
    await this.call(`ask(${JSON.stringify(name)}, ${JSON.stringify({ messages, ...body })})`);
  }

  answer(name: string): Promise<PageAnswer> {
    return this.call(`answer(${JSON.stringify(name)})`);
  }

  /** Resolves when an answer has got that many tokens. */
  async reached(name: string, tokens: number): Promise<void> {
    const quoted = JSON.stringify(name);
    await this.page.waitForFunction(`tab.answer(${quoted}).tokens >= ${tokens} || tab.answer(${quoted}).isDone`, null, {
      timeout: 120_000, polling: 20,
    });
  }

  /** An answer's text, once it has ended; rejects with what it failed with. */
  async answered(name: string): Promise<string> {
    const expression = `tab.answer(${JSON.stringify(name)}).isDone`;
    await this.page.waitForFunction(expression, null, { timeout: 240_000, polling: 50 });
    const { text, error } = await this.answer(name);
    if (error !== undefined) throw new Error(error);
    return text;
  }
}
