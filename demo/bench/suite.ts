import type { BenchOptions } from './figures.ts';
import { PAGE_PARTS, type PagePart } from './page-parts.ts';

/** The functions that the page for visitors calls in its frame. */
const bench = { measure: (part: PagePart, options: BenchOptions): Promise<unknown> => PAGE_PARTS[part](options) };

export type Bench = typeof bench;
Object.assign(globalThis, { bench });
