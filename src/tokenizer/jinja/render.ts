import { type TemplateBudget } from './budget.ts';
import { TemplateFault } from './errors.ts';
import { templateGlobals } from './globals.ts';
import { Interpreter } from './interpreter.ts';
import { Scope } from './scope.ts';
import { type Block } from './syntax.ts';
import { type AnyText, Text } from './text.ts';
import { Dict, Float, Undefined, type Value } from './values.ts';

/** The inputs of a rendering beside the template. */
export interface RenderContext {
  /**
   * The template's variables by name, as plain data: `messages`, `add_generation_prompt`, `tools` and others. Texts in
   * them are data, except those that are a `Text` of the template's own.
   */
  readonly variables: Readonly<Record<string, unknown>>;
  readonly budget: TemplateBudget;
  /** The time of `strftime_now`, in the local time zone. */
  readonly now: Date;
}

/**
 * A template's output, in which the template's own words and data are distinguished. It equals Jinja2's output, with
 * the settings of transformers' apply_chat_template.
 *
 * @param program of `parseTemplate`
 * @throws TemplateRefusal where the template refuses its variables, TemplateFault where it is faulty, TemplateLimit
 *   where the budget is spent, RangeError where JavaScript's own limits are met
 */
export function renderTemplate(program: Block, { variables, budget, now }: RenderContext): AnyText {
  const globals = new Scope();
  for (const callable of templateGlobals(budget, now)) globals.set(callable.name, callable);
  const scope = new Scope(globals);
  for (const [name, value] of Object.entries(variables)) {
    if (value !== undefined) scope.set(name, toValue(value, budget));
  }
  return new Interpreter(budget).run(program, scope);
}

/** Converts JSON-like data to a value. */
function toValue(input: unknown, budget: TemplateBudget): Value {
  if (input === undefined) return new Undefined('it is undefined');
  if (input === null || typeof input === 'boolean' || typeof input === 'string' || input instanceof Text) return input;
  if (typeof input === 'number') {
    budget.numbersAreData = true;
    return Number.isSafeInteger(input) ? input : new Float(input);
  }
  if (Array.isArray(input)) return input.map((item) => toValue(item, budget));
  if (typeof input !== 'object') throw new TemplateFault(`a ${typeof input} is no value of a template's`);
  return new Dict(Object.entries(input).map(([key, item]) => [key, toValue(item, budget)] as const), budget);
}
