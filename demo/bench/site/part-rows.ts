import { rowsOfPart } from '../derive-rows.mjs';
import type { BenchOptions } from '../figures.ts';
import type { PagePart } from '../page-parts.ts';
import type { Omission, PartRows } from '../rows.ts';

/** What a part gives, as the table shows it. */
export function resultOfPart(part: PagePart, figures: unknown, { promptTokens, decodeTokens }: BenchOptions, model: string): PartRows {
  const { omitted = [] } = figures as { readonly omitted?: readonly Omission[] };
  return { rows: rowsOfPart(part, figures, { model, promptTokens, decodeTokens }), omitted };
}
