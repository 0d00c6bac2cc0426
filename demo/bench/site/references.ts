import type { Results } from './results.ts';

const files = import.meta.glob<Results>('../results/*.json', { eager: true, import: 'default' });

/** The committed runs, the newest first. */
export const REFERENCES: readonly Results[] = Object.values(files).toSorted((a, b) => (a.head.date < b.head.date ? 1 : -1));
