import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright';
import { build, createServer } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchChromium } from '../support/demo-site.ts';
import { addModel, installPackage, writeQuickStart, type InstalledPackage } from '../support/installed-package.ts';
import { documentedCode } from '../support/documented-code.ts';
import { serveFolder, type StaticSite } from '../support/static-site.ts';
import { ROOT } from '../unit/structure/source-graph.ts';

// The package as a stranger gets it: packed, installed into an empty folder, and used as README.md and docs/install.md say.

let installed: InstalledPackage;
let browser: Browser;

beforeAll(async () => {
  installed = installPackage();
  browser = await launchChromium();
});

afterAll(async () => {
  await browser.close();
  installed.remove();
});

/** What an app's page comes to say: an answer, or the error it was refused with. */
async function answerOf(url: string): Promise<string> {
  const context = await browser.newContext();
  const page = await context.newPage();
  const outcome = new Promise<string>((resolve, reject) => {
    page.on('pageerror', (error) => reject(error));
    page.on('console', (message) => {
      if (message.text().includes('ttft')) page.innerText('body').then(resolve, reject);
    });
  });
  outcome.catch(() => {}); // it may come before the page has
  try {
    await page.goto(url);
    return await outcome;
  } finally {
    await context.close();
  }
}

/** The same of a page on a plain static server. */
async function answerAt(folder: string, path = '/', prepare?: Parameters<typeof serveFolder>[1]): Promise<string> {
  const site = await serveFolder(folder, prepare);
  try {
    return await answerOf(`${site.origin}${path}`);
  } finally {
    await site.close();
  }
}

const ANSWER = /[a-z]{2}/i;

/** How a page ends whose worker has started and looks for the model. */
const MODEL_NOT_THERE = /babble\.gguf.*404|404.*babble\.gguf/;

const PAGE = '<!doctype html><body><script type="module" src="main.js"></script></body>';

function run(bin: string, args: readonly string[], cwd = ROOT): string {
  return execFileSync(process.execPath, [join(ROOT, 'node_modules', bin), ...args], { cwd, encoding: 'utf8' });
}

describe('what is published', () => {
  test('is the built code, its types and licences; no test, no source file', () => {
    const { files } = installed;
    expect(files.filter((file) => !/^dist\/types\/[a-z0-9/-]+\.d\.ts$/.test(file)).toSorted()).toEqual([
      'CHANGELOG.md', 'LICENSE', 'README.md',
      ...['cache.js', 'cache.js.map', 'cache.licenses.md', 'engine-worker.d.ts', 'engine-worker.js', 'engine-worker.js.map', 'engine-worker.licenses.md'].map((file) => `dist/${file}`),
      ...['index.js', 'index.js.map', 'shared.js', 'shared.js.map', 'testing.js', 'testing.js.map'].map((file) => `dist/${file}`),
      'package.json',
    ]);
    expect(files).toEqual(expect.arrayContaining(['dist/types/index.d.ts', 'dist/types/cache.d.ts', 'dist/types/testing.d.ts']));
  });

  test('is found in order by publint, and by attw for ESM: they throw where it is not', () => {
    expect(run('publint/src/cli.js', ['run', installed.tarball, '--strict'])).toContain('All good!');
    const report = run('@arethetypeswrong/cli/dist/index.js', [installed.tarball, '--profile', 'esm-only', '--no-color']);
    for (const entry of ['tabserve', 'tabserve/cache', 'tabserve/testing', 'tabserve/engine-worker']) expect(report).toContain(`"${entry}"`);
  });

  test.each([
    ['bundler', '', ''],
    ['nodenext', 'trusted-types', "declare const address: TrustedScriptURL;\nvoid createClient({ model: '', workerUrl: address });\n"],
  ])('type-checks in an app, whole and strict (%s, with the types %j)', (moduleResolution, types, more) => {
    const { app } = installed;
    const imports = "import { type Client, TabserveError } from 'tabserve';\nimport { deleteModel, listModels } from 'tabserve/cache';\nimport { injectFault } from 'tabserve/testing';\nimport 'tabserve/engine-worker';\n";
    const use = 'for (const { url, size } of await listModels()) if (size > 1e9) await deleteModel(url).catch((error) => error instanceof TabserveError);\n';
    const usage = `export async function usage(client: Client): Promise<void> {\n${documentedCode('usage.ts')}}\n`;
    writeFileSync(join(app, 'main.ts'), `${documentedCode('main.js')}${imports}${use}${usage}${more}`);
    writeFileSync(join(app, 'package.json'), JSON.stringify({ type: 'module' }));
    const flags = ['--strict', '--noEmit', '--target', 'es2022', '--lib', 'es2022,dom,dom.iterable', '--types', types];
    const typeRoots = ['--typeRoots', join(ROOT, 'node_modules/@types')];
    const module = moduleResolution === 'nodenext' ? 'nodenext' : 'esnext';
    run('typescript/bin/tsc', ['--ignoreConfig', ...flags, ...typeRoots, '--module', module, '--moduleResolution', moduleResolution, 'main.ts'], app);
  });
});

describe('an app streams an answer', () => {
  test('built by Vite', async () => {
    const { app } = installed;
    writeQuickStart(app);
    writeFileSync(join(app, 'index.html'), PAGE);
    await build({ root: app, configFile: false, logLevel: 'error' });
    addModel(join(app, 'dist'));
    expect(await answerAt(join(app, 'dist'))).toMatch(ANSWER);
  });

  test('on Vite’s development server', async () => {
    const { app } = installed;
    writeQuickStart(app);
    writeFileSync(join(app, 'index.html'), PAGE);
    mkdirSync(join(app, 'public'), { recursive: true });
    addModel(join(app, 'public'));
    const server = await createServer({ root: app, configFile: false, logLevel: 'error', server: { port: 0, host: '127.0.0.1' } });
    try {
      await server.listen();
      expect(await answerOf(server.resolvedUrls?.local[0] ?? '')).toMatch(ANSWER);
    } finally {
      await server.close();
    }
  });

  test('built by esbuild, by way of workerUrl', async () => {
    const { app } = installed;
    writeQuickStart(app, "workerUrl: '/engine-worker.js', ");
    execFileSync('sh', ['-ec', documentedCode('esbuild')], { cwd: app, stdio: ['ignore', 'ignore', 'pipe'] });
    writeFileSync(join(app, 'www/index.html'), PAGE);
    addModel(join(app, 'www'));
    expect(await answerAt(join(app, 'www'))).toMatch(ANSWER);
  });

  test('on a page that nothing builds', async () => {
    const { app } = installed;
    writeQuickStart(app);
    writeFileSync(join(app, 'plain.html'), documentedCode('plain.html'));
    addModel(app);
    expect(await answerAt(app, '/plain.html')).toMatch(ANSWER);
  });
});

describe('a worker that cannot be started', () => {
  let cdn: StaticSite;
  let folder: string;

  beforeAll(async () => {
    cdn = await serveFolder(join(installed.app, 'node_modules'), (response) => void response.setHeader('Access-Control-Allow-Origin', '*'));
    folder = mkdtempSync(join(tmpdir(), 'tabserve-plain-'));
    addModel(folder);
    copyFileSync(join(installed.app, 'node_modules/tabserve/dist/engine-worker.js'), join(folder, 'engine-worker.js'));
    const html = documentedCode('plain.html').replaceAll('"/node_modules/', `"${cdn.origin}/`);
    writeFileSync(join(folder, 'index.html'), html);
  });

  afterAll(async () => {
    await cdn.close();
    rmSync(folder, { recursive: true });
  });

  test.each([
    ['is on another origin, as tabserve itself', '', /would come from .*Copy node_modules\/tabserve\/dist\/engine-worker\.js/],
    ['is not there', "workerUrl: '/nothing.js', ", /nothing\.js: HTTP 404\./],
    ['is no JavaScript', "workerUrl: '/babble.gguf', ", /babble\.gguf: it is served as application\/octet-stream\./],
    ['is not there, and each tab’s own', "ownership: 'elected', workerUrl: '/nothing.js', ", /nothing\.js: HTTP 404\./],
  ])('%s: an error says so', async (_what, options, message) => {
    writeQuickStart(folder, options);
    await expect(answerAt(folder)).rejects.toThrow(message);
  });

  test('is a Worker of a page with an embedder policy that its script lacks: an error says so', async () => {
    writeQuickStart(folder, "ownership: 'elected', workerUrl: '/engine-worker.js', ");
    const policy = (response: ServerResponse, path: string) => {
      response.setHeader('Cross-Origin-Resource-Policy', 'cross-origin');
      if (path === '/') response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    };
    const answer = answerAt(folder, '/', policy);
    await expect(answer).rejects.toThrow(/engine-worker\.js\. The page is served with the header "Cross-Origin-Embedder-Policy: require-corp"/);
  });

  test('is of no use in a sandboxed iframe, which has no Web Locks: an error says so', async () => {
    writeQuickStart(folder, "workerUrl: '/engine-worker.js', ");
    writeFileSync(join(folder, 'framed.html'), '<!doctype html><iframe sandbox="allow-scripts" src="/"></iframe>');
    const share = (response: ServerResponse) => response.setHeader('Access-Control-Allow-Origin', '*');
    await expect(answerAt(folder, '/framed.html', share)).rejects.toThrow(/opaque origin.*allow-same-origin/);
  });

  test('on another origin is no hindrance to one that is self-hosted: it starts, and looks for the model', async () => {
    writeQuickStart(folder, "workerUrl: '/engine-worker.js', ");
    rmSync(join(folder, 'babble.gguf'), { force: true });
    await expect(answerAt(folder)).rejects.toThrow(MODEL_NOT_THERE);
  });

  test('is started on a page that requires Trusted Types, from an address that the page’s policy made', async () => {
    rmSync(join(folder, 'babble.gguf'), { force: true });
    const enforce = (response: ServerResponse) => response.setHeader('Content-Security-Policy', "require-trusted-types-for 'script'; trusted-types app");
    const makeAddress = "trustedTypes.createPolicy('app', { createScriptURL: (url) => url }).createScriptURL('/engine-worker.js')";
    for (const ownership of ['shared-worker', 'elected']) {
      writeQuickStart(folder, `ownership: '${ownership}', workerUrl: ${makeAddress}, `);
      await expect(answerAt(folder, '/', enforce)).rejects.toThrow(MODEL_NOT_THERE);
      writeQuickStart(folder, `ownership: '${ownership}', workerUrl: '/engine-worker.js', `);
      await expect(answerAt(folder, '/', enforce)).rejects.toThrow(/Trusted Types.*policy\.createScriptURL/);
    }
  });
});
