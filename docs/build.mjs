// @ts-check
/** `npm run docs`: writes docs/api.md and docs/memory.md, which tests hold up to date. */
import { writeFileSync } from 'node:fs';
import { importTypeScript } from '../test/oracle/typescript.mjs';
import { writeReference } from './reference.mjs';

writeFileSync(new URL('api.md', import.meta.url), writeReference());
const { writeMemoryPage } = await importTypeScript('docs/memory-page.ts');
writeFileSync(new URL('memory.md', import.meta.url), await writeMemoryPage());
