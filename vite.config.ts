import { readFileSync } from 'node:fs';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig, type Plugin } from 'vitest/config';
import type { TestProjectInlineConfiguration } from 'vitest/config';
import { shadersWithoutComments } from './shaders/without-comments.mjs';
import { findChromium, LIGHT_ARGS } from './test/support/chromium.ts';

/** Modules that several entry points use come in one file, whichever of them do. */
const SHARED = { groups: [{ name: 'shared', minShareCount: 2 }] };

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')) as { version: string };
const executablePath = findChromium();

/**
 * `vite build` makes dist/index.js, the client, dist/cache.js, for the models in storage, dist/testing.js, for tests of an app, and
 * dist/shared.js, the modules that several of them use;
 * `vite build --mode worker` adds dist/engine-worker.js, everything else with the packages it needs, in one file. `vitest`
 * runs the test projects.
 */
export default defineConfig(({ mode }) => ({
  define: { __TABSERVE_BUILD_ID__: JSON.stringify(version) },
  plugins: [workerBesideClient(), shadersWithoutComments(), ...(mode === 'worker' ? [workerTypes()] : [])],
  build: {
    target: 'es2022',
    emptyOutDir: mode !== 'worker',
    sourcemap: true,
    license: { fileName: mode === 'worker' ? 'engine-worker.licenses.md' : 'cache.licenses.md' },
    lib: {
      formats: ['es'],
      entry:
        mode === 'worker'
          ? { 'engine-worker': 'src/worker/engine-worker.ts' }
          : { index: 'src/index.ts', cache: 'src/cache.ts', testing: 'src/testing.ts' },
    },
    // An app's own build shrinks the client; the worker it may only copy.
    minify: false,
    rolldownOptions: {
      external: mode === 'worker' ? [] : ['comlink'],
      output: mode === 'worker' ? { codeSplitting: false, minify: true } : { codeSplitting: SHARED, chunkFileNames: 'shared.js' },
    },
  },
  test: { projects: testProjects(process.env) },
}));

/** What `npm test` runs, or the one project that it was asked for. */
function testProjects(env: NodeJS.ProcessEnv): TestProjectInlineConfiguration[] {
  if (env['TABSERVE_EXAMPLES'] !== undefined) return [examples];
  const isSmolLm2 = env['TABSERVE_SMOLLM2'] !== undefined;
  if (env['TABSERVE_DAWN'] !== undefined) return [isSmolLm2 ? smollm2Dawn : gpuDawn];
  return isSmolLm2 ? [smollm2] : [unit, gpu, e2e];
}

/**
 * In the published client the worker is the file beside it, under the one expression that bundlers recognise:
 * `new SharedWorker(new URL('./engine-worker.js', import.meta.url), ...)`. Vite would bundle the worker's source
 * a second time and leave an expression that other bundlers do not see.
 */
function workerBesideClient(): Plugin {
  return {
    name: 'tabserve:worker-beside-client',
    apply: 'build',
    enforce: 'pre',
    transform: {
      filter: { id: /\/src\/client\//, code: /engine-worker\.ts/ },
      // `map: null`: nothing but columns of one line moves.
      handler: (code) => ({
        code: code.replace(/'[^']*\/worker\/engine-worker\.ts'/g, `/* @vite-ignore */ './engine-worker.js'`),
        map: null,
      }),
    },
    // The comment kept Vite from bundling the worker; an app's build must not see it.
    renderChunk: (code) => ({ code: code.replace(/\/\* @vite-ignore \*\//g, ''), map: null }),
  };
}

/** The worker is a script to start, from which nothing can be imported; its address has types all the same. */
function workerTypes(): Plugin {
  return {
    name: 'tabserve:worker-types',
    generateBundle() {
      this.emitFile({ type: 'asset', fileName: 'engine-worker.d.ts', source: 'export {};\n' });
    },
  };
}

const unit: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: 'unit',
    environment: 'node',
    include: ['test/unit/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'threads', // they start faster than processes
    maxWorkers: '100%', // nothing else runs meanwhile
  },
};

const gpu: TestProjectInlineConfiguration = {
  extends: true,
  // Found only while a test runs, they would make the page reload in the middle of it.
  optimizeDeps: {
    include: ['@huggingface/hub', '@huggingface/jinja', '@noble/hashes/sha2.js', 'comlink', 'idb-keyval', 'wgsl_reflect'],
  },
  test: {
    name: 'gpu',
    include: ['test/gpu/**/*.test.ts'],
    testTimeout: 120_000,
    fileParallelism: false,
    globalSetup: ['test/support/serve-faults.ts'],
    provide: { isCompatibility: process.env['TABSERVE_COMPATIBILITY'] !== undefined },
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({
        launchOptions: { args: LIGHT_ARGS, ...(executablePath === undefined ? {} : { executablePath }) },
      }),
      instances: [{ browser: 'chromium' }],
    },
  },
};

/** Every golden chat with SmolLM2 itself, which takes minutes: `npm run test:smollm2`. */
const smollm2: TestProjectInlineConfiguration = {
  ...gpu,
  test: {
    ...gpu.test,
    name: 'smollm2',
    include: ['test/smollm2/*.test.ts'],
    globalSetup: ['test/support/serve-default-model.ts'],
  },
};

/** The kernel tests in Node, on Dawn; `*.browser.test.ts` need a real browser. See test/run.mjs. */
const gpuDawn: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: 'gpu-dawn',
    environment: 'node',
    include: ['test/gpu/**/*.test.ts'],
    exclude: ['test/gpu/**/*.browser.test.ts'],
    setupFiles: ['test/support/dawn.ts'],
    testTimeout: 120_000,
    fileParallelism: false,
  },
};

/** SmolLM2 in Node, on Dawn: for what Chromium's adapter lacks. */
const smollm2Dawn: TestProjectInlineConfiguration = {
  ...gpuDawn,
  test: {
    ...gpuDawn.test,
    name: 'smollm2-dawn',
    include: ['test/smollm2/*.test.ts'],
    exclude: ['test/smollm2/persist-prefix.test.ts'], // which needs a browser
    globalSetup: ['test/support/serve-default-model.ts'],
  },
};

const e2e: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: 'e2e',
    environment: 'node',
    include: ['test/e2e/**/*.test.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    fileParallelism: false,
    globalSetup: ['test/support/builds.ts'],
  },
};

/** docs/examples, whose packages npm installs for it: `npm run test:examples`. */
const examples: TestProjectInlineConfiguration = {
  ...e2e,
  test: { ...e2e.test, name: 'examples', include: ['test/examples/*.test.ts'], hookTimeout: 1_200_000 },
};
