// @ts-check
/** `npm run docs`: writes docs/api.md, which a test holds up to date. */
import { writeFileSync } from 'node:fs';
import { writeReference } from './reference.mjs';

writeFileSync(new URL('api.md', import.meta.url), writeReference());
