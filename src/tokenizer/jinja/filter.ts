import { type TemplateBudget } from './budget.ts';
import { type Arguments, type Value } from './values.ts';

/** The part of the interpreter that filters use. */
export interface FilterContext {
  readonly budget: TemplateBudget;
  readonly applyFilter: (name: string, value: Value, args: Arguments) => Value;
  readonly applyTest: (name: string, value: Value, args: readonly Value[]) => boolean;
}

export type Filter = (value: Value, args: Arguments, context: FilterContext) => Value;

export const NO_ARGUMENTS: Arguments = { positional: [], named: new Map() };
