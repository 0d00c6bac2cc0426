import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createServer } from 'vite';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The page in any of its states, with fakes for the engine and the storage (see demo-states/main.ts): `URL?state=ready`. */
export async function startDemoStates(): Promise<{ readonly url: string; close(): Promise<void> }> {
  const cacheDir = mkdtempSync(join(tmpdir(), 'tabserve-states-'));
  const server = await createServer({
    root: ROOT,
    configFile: false,
    cacheDir,
    logLevel: 'error',
    define: { __TABSERVE_BUILD_ID__: JSON.stringify('states') },
    // Found only while a page loads, they would make it load again.
    optimizeDeps: {
      entries: [],
      include: [
        'lit', 'lit/decorators.js', 'lit/directive.js', 'lit/directives/class-map.js', 'lit/directives/repeat.js',
        'lit/directives/unsafe-html.js', 'comlink', 'dompurify', 'idb-keyval', 'marked',
      ],
    },
    server: { port: 0, host: '127.0.0.1', hmr: false, watch: null },
  });
  await server.listen();
  const [url] = server.resolvedUrls?.local ?? [];
  if (url === undefined) throw new Error('The server listens nowhere.');
  const close = async (): Promise<void> => {
    await server.close();
    rmSync(cacheDir, { recursive: true, force: true });
  };
  return { url: new URL('test/support/demo-states/', url).href, close };
}
