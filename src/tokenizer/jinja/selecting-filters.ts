import { bind, expectChars } from './arguments.ts';
import { attributeGetter } from './sequence-filters.ts';
import { TemplateFault } from './errors.ts';
import { type Filter, type FilterContext } from './filter.ts';
import { type Arguments, isTrue, iterate, Series, type Value } from './values.ts';

/** `select` and its relatives: the items that pass a test. */
const select =
  (name: string, keeps: boolean, byAttribute: boolean): Filter =>
  (value, { positional, named }, context) => {
    const items = itemsOf(value, context);
    if (named.size > 0) throw new TemplateFault(`${name}() takes no named arguments`);
    const [attribute, ...rest] = byAttribute ? positional : [null, ...positional];
    if (attribute === undefined) throw new TemplateFault('Missing parameter for attribute name');
    const get = byAttribute ? attributeGetter(attribute, undefined, context.budget) : (item: Value): Value => item;
    const passes = testOf(rest, context);
    const kept = items.filter((item) => {
      context.budget.spend(1);
      return passes(get(item)) === keeps;
    });
    return new Series('generator', kept);
  };

/** None and other false values have no items here, as in Jinja2. */
function itemsOf(value: Value, { budget }: FilterContext): readonly Value[] {
  return isTrue(value) ? iterate(value, budget) : [];
}

function testOf([test, ...args]: readonly Value[], { applyTest }: FilterContext): (value: Value) => boolean {
  if (test === undefined) return isTrue;
  const name = expectChars(test, 'the name of a test');
  return (value) => applyTest(name, value, args);
}

/** `map(attribute='...')`, or a filter's name and its arguments. */
function map(value: Value, args: Arguments, context: FilterContext): Value {
  const { budget, applyFilter } = context;
  const items = itemsOf(value, context);
  const [name, ...positional] = args.positional;
  if (name === undefined) {
    const [attribute = null, fallback] = bind('map', args, ['attribute', 'default'], 1);
    const get = attributeGetter(attribute, fallback, budget);
    return new Series('generator', items.map(get));
  }
  const filter = expectChars(name, 'the name of a filter');
  const mapped = items.map((item) => {
    budget.spend(1);
    return applyFilter(filter, item, { positional, named: args.named });
  });
  return new Series('generator', mapped);
}

export const SELECTING_FILTERS: Readonly<Record<string, Filter>> = {
  map,
  reject: select('reject', false, false),
  rejectattr: select('rejectattr', false, true),
  select: select('select', true, false),
  selectattr: select('selectattr', true, true),
};
