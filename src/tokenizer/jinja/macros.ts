import { type TemplateBudget } from './budget.ts';
import { TemplateFault } from './errors.ts';
import { type Scope } from './scope.ts';
import { type Block, type Expression, type Parameter } from './syntax.ts';
import { type Arguments, Dict, Tuple, Undefined, type Value } from './values.ts';

/** The names that a macro has in addition to its parameters, if it uses them. */
const SPECIAL = ['caller', 'kwargs', 'varargs'] as const;
export type SpecialName = (typeof SPECIAL)[number];

/** The special names that a macro's body uses. */
export function specialNames(body: Block, budget: TemplateBudget): ReadonlySet<SpecialName> {
  const found = new Set<SpecialName>();
  const visit = (part: unknown): void => {
    if (typeof part !== 'object' || part === null) return;
    budget.spend(1 / 16);
    if ('type' in part && part.type === 'Identifier' && 'value' in part) {
      const name = SPECIAL.find((special) => special === part.value);
      if (name !== undefined) found.add(name);
    }
    for (const child of part instanceof Map ? [...part].flat() : Object.values(part)) visit(child);
  };
  visit(body);
  return found;
}

/** Defines a macro's arguments as names in its scope. */
export function bindParameters(
  label: string,
  parameters: readonly Parameter[],
  special: ReadonlySet<SpecialName>,
  { positional, named }: Arguments,
  scope: Scope,
  evaluate: (node: Expression) => Value,
  budget: TemplateBudget,
): void {
  const rest = new Map(named);
  for (const [i, parameter] of parameters.entries()) {
    const name = parameter.type === 'Identifier' ? parameter.value : parameter.key.value;
    const given = positional[i] ?? (i < positional.length ? null : rest.get(name));
    if (i >= positional.length) rest.delete(name);
    const byDefault = (): Value =>
      parameter.type === 'Identifier' ? new Undefined(`parameter '${name}' was not provided`) : evaluate(parameter.value);
    scope.set(name, given ?? (given === null ? null : byDefault()));
  }
  if (special.has('caller')) {
    scope.set('caller', rest.get('caller') ?? new Undefined('No caller defined'));
    rest.delete('caller');
  }
  if (special.has('kwargs')) scope.set('kwargs', new Dict(rest, budget));
  else for (const name of rest.keys()) throw new TemplateFault(`macro ${label} takes no keyword argument '${name}'`);
  const surplus = positional.slice(parameters.length);
  if (special.has('varargs')) scope.set('varargs', new Tuple(surplus));
  else if (surplus.length > 0) throw new TemplateFault(`macro ${label} takes not more than ${parameters.length} argument(s)`);
}
