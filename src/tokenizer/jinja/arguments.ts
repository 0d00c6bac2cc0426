import { TemplateFault } from './errors.ts';
import { type AnyText, charsOf } from './text.ts';
import { type Arguments, integerOf, isText, typeName, type Value } from './values.ts';

/**
 * The arguments of a function by its parameters' names, in their order; undefined for one that is not given.
 *
 * @param required the number of leading parameters that must be given
 */
export function bind(
  what: string,
  { positional, named }: Arguments,
  names: readonly string[],
  required = 0,
): readonly (Value | undefined)[] {
  if (positional.length > names.length) {
    throw new TemplateFault(`${what}() takes at most ${names.length} arguments (${positional.length} given)`);
  }
  for (const name of named.keys()) {
    const place = names.indexOf(name);
    if (place < 0) throw new TemplateFault(`${what}() has no argument '${name}'`);
    if (place < positional.length) throw new TemplateFault(`${what}() got argument '${name}' twice`);
  }
  return names.map((name, i) => {
    const value = positional[i] ?? (i < positional.length ? null : named.get(name));
    if (value === undefined && i < required) throw new TemplateFault(`${what}() misses its argument '${name}'`);
    return value;
  });
}

/** The characters of a text. */
export function expectChars(value: Value, what: string): string {
  return charsOf(expectText(value, what));
}

export function expectText(value: Value, what: string): AnyText {
  if (!isText(value)) throw new TemplateFault(`${what} must be str, not ${typeName(value)}`);
  return value;
}

export function expectInteger(value: Value, what: string): number {
  const number = integerOf(value);
  if (number === undefined) throw new TemplateFault(`${what} must be int, not ${typeName(value)}`);
  return number;
}

/** A text's characters, or undefined where it is absent or None. */
export function optionalChars(value: Value | undefined, what: string): string | undefined {
  return value === undefined || value === null ? undefined : expectChars(value, what);
}

/** A whole number, or undefined where it is absent or None. */
export function optionalInteger(value: Value | undefined, what: string): number | undefined {
  return value === undefined || value === null ? undefined : expectInteger(value, what);
}
