import { type TemplateBudget } from './budget.ts';
import { TemplateFault } from './errors.ts';
import { formatValue, parseSpec } from './format-spec.ts';
import { print, represent } from './printing.ts';
import { type AnyText, charsOf, isOwn, ownText, TextBuilder } from './text.ts';
import { type Arguments, Dict, isList, Namespace, orElse, Tuple, Undefined, type Value } from './values.ts';

/** The time to parse a name grows with the square of its length. */
const MOST_NAME_CHARS = 256;

/** A field's name, its conversion and its specification. */
interface Field {
  readonly name: string;
  readonly conversion: string;
  readonly spec: string;
}

/** Python's `text.format(...)`. Where the format itself is data, all of the result is data. */
export function formatBraces(template: AnyText, args: Arguments, budget: TemplateBudget): AnyText {
  const text = formatParts(charsOf(template), args, { next: 0 }, budget, 0);
  return isOwn(template) ? text : charsOf(text);
}

function formatParts(
  template: string,
  args: Arguments,
  counter: { next: number },
  budget: TemplateBudget,
  depth: number,
): AnyText {
  if (depth > 1) throw new TemplateFault('Max string recursion exceeded');
  const text = new TextBuilder(budget);
  let place = 0;
  while (place < template.length) {
    const brace = nextBrace(template, place);
    text.add(ownText(template.slice(place, brace)));
    place = brace + 1;
    if (brace === template.length) break;
    if (template[brace + 1] === template[brace]) {
      text.add(ownText(template[brace] ?? ''));
      place++;
    } else if (template[brace] === '}') {
      throw new TemplateFault("Single '}' encountered in format string");
    } else {
      const end = fieldEnd(template, place);
      const { name, conversion, spec } = parseField(template.slice(place, end));
      const value = convert(lookUp(name, args, counter, budget), conversion, budget);
      const written = spec === '' ? '' : formatParts(spec, args, counter, budget, depth + 1);
      const formatted = formatValue(value, parseSpec(charsOf(written)), budget);
      text.add(isOwn(written) ? formatted : charsOf(formatted));
      place = end + 1;
    }
  }
  return text.build();
}

function nextBrace(template: string, from: number): number {
  for (let place = from; place < template.length; place++) {
    if (template[place] === '{' || template[place] === '}') return place;
  }
  return template.length;
}

function fieldEnd(template: string, from: number): number {
  let open = 1;
  for (let place = from; place < template.length; place++) {
    if (template[place] === '{') open++;
    if (template[place] === '}' && --open === 0) return place;
  }
  throw new TemplateFault("expected '}' before end of string");
}

function parseField(field: string): Field {
  const [, name = '', conversion = '', spec = ''] = /^([^!:]*)(?:!([^]))?(?::([^]*))?$/u.exec(field) ?? [];
  return { name, conversion, spec };
}

function convert(value: Value, conversion: string, budget: TemplateBudget): Value {
  if (conversion === '') return value;
  if (conversion === 's') return print(value, budget);
  if (conversion === 'r') return represent(value, budget);
  throw new TemplateFault(`Unknown conversion specifier '${conversion}'`);
}

/** `0`, `name`, `0.attribute` or `name[key]`. */
function lookUp(name: string, { positional, named }: Arguments, counter: { next: number }, budget: TemplateBudget): Value {
  if (name.length > MOST_NAME_CHARS) throw new TemplateFault(`a field to format has a name of ${name.length} characters`);
  const [, first = '', path = ''] = /^([^.[]*)([^]*)$/.exec(name) ?? [];
  const place = first === '' ? counter.next++ : /^\d+$/.test(first) ? Number(first) : undefined;
  let value = place === undefined ? named.get(first) : positional[place];
  if (value === undefined) throw new TemplateFault(`nothing to format for '{${name.slice(0, 64)}}'`);
  for (const [, attribute, key] of path.matchAll(/\.([^.[]+)|\[([^\]]+)\]/g)) {
    value = step(value, attribute ?? key ?? '', budget);
  }
  return value;
}

function step(value: Value, key: string, budget: TemplateBudget): Value {
  if (value instanceof Undefined) throw value.fault();
  return orElse(partOf(value, key, budget), () => new Undefined(`there is no '${key}'`));
}

function partOf(value: Value, key: string, budget: TemplateBudget): Value | undefined {
  if (value instanceof Namespace) return value.attributes.get(key);
  if (value instanceof Dict) return value.get(key, budget);
  const items = isList(value) ? value : value instanceof Tuple ? value.items : [];
  return items[/^\d+$/.test(key) ? Number(key) : -1];
}
