// Imports a TypeScript module of this repository through Vite, since Node 20 cannot by itself.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** @param {string} file relative to the repository's root */
export async function importTypeScript(file) {
  const { module } = await runnerImport(path.join(ROOT, file), { configFile: false, root: ROOT, logLevel: 'error' });
  return module;
}
