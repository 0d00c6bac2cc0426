// @ts-check
/** Writes docs/api.md and docs/memory.md. Tests fail where one is out of date. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';
import { writeReference } from './reference.mjs';

writeFileSync(new URL('api.md', import.meta.url), writeReference());
const { module } = await runnerImport(fileURLToPath(new URL('memory-page.ts', import.meta.url)), { configFile: false, logLevel: 'error' });
writeFileSync(new URL('memory.md', import.meta.url), await module.writeMemoryPage());
