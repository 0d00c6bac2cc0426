// @ts-check
/**
 * `npm run build:demo`: the demo and, in `bench/`, the benchmark as a static site in demo/dist, for any web server and any
 * path. It sets no headers and needs none.
 */
import { buildSite, DIST } from './server/page.mjs';

await buildSite();
console.log(`Built ${DIST}`);
